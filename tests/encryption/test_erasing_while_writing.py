"""A key is erased while others write under it."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis

from agent_runtime.manager import CachedSessionManager, SessionManager
from agent_runtime.manager.encryption.key_ring import KeyRing
from agent_runtime.manager.encryption.user_keys import UserKeys
from agent_runtime.manager.errors import DecryptionError
from agent_runtime.manager.keys import UserKeyNames
from agent_runtime.manager.scripts import user_keys as scripts
from agent_runtime.manager.transport.script_client import ScriptClient
from tests.support.encryption import check_erased, check_readable, secret_of, stored_values, talk
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]


async def test_many_sessions_of_a_new_user_at_once_share_one_key(
    open_keyed: Opener, raw: redis.Redis, namespace: str
) -> None:
    managers = [open_keyed() for _ in range(4)]
    await asyncio.gather(*(managers[i % 4].create_session("ann", "bot", {"a": i}) for i in range(40)))
    assert len({value[1:17] for value in stored_values(raw, namespace).values()}) == 1
    assert len(await managers[0].get_sessions_by_user("ann")) == 40


_WRITES: dict[str, Callable[[SessionManager, str], Any]] = {
    "save": lambda manager, session_id: manager.save_checkpoint(session_id, {"turn": 9}),
    "merge": lambda manager, session_id: manager.update_session_metadata(session_id, {"a": 1}),
    "replace": lambda manager, session_id: manager.update_session(session_id, metadata={"a": 1}),
    "create": lambda manager, _: manager.create_session("ann", "bot", {"a": 1}),
}


@pytest.mark.parametrize("write", _WRITES.values(), ids=_WRITES.keys())
async def test_a_write_that_an_erasure_overtakes_is_never_told_as_kept(
    open_keyed: Opener, server: RedisServer, write: Callable[[SessionManager, str], Any]
) -> None:
    async with Proxy(server.port) as proxy:
        slow, other = open_keyed(redis_url=proxy.url()), open_keyed()
        session_id = await talk(slow)
        proxy.hold_replies()
        calls = proxy.calls
        writing = asyncio.create_task(write(slow, session_id))
        await wait_until(lambda: proxy.calls > calls, description="the write is on its way")
        assert await other.erase_user_key("ann") is True
        proxy.release_replies()
        with pytest.raises(DecryptionError, match="erased meanwhile: what was written cannot be read"):
            await writing
        await slow.aclose()


async def _write(manager: SessionManager, erasures: list[list[float]], readable: list[str]) -> None:
    """Record each checkpoint that could be read back. No recorded checkpoint is lost to an earlier
    erasure."""
    while True:
        with suppress(DecryptionError):  # overtaken, and told so
            session_id = (await manager.create_session("ann", "bot", {"a": 1})).session_id
            begun = time.monotonic()
            checkpoint_id = await manager.save_checkpoint(session_id, {"turn": 1})
            try:
                assert await manager.get_checkpoint(session_id, checkpoint_id)
                readable.append(checkpoint_id)
            except DecryptionError:
                assert any(len(erasure) == 1 or erasure[1] > begun for erasure in erasures)


async def test_nothing_that_is_told_as_kept_is_lost_to_an_erasure_answered_before(open_keyed: Opener) -> None:
    eraser = open_keyed()
    erasures: list[list[float]] = []
    readable: list[str] = []
    writers = [asyncio.create_task(_write(open_keyed(), erasures, readable)) for _ in range(4)]
    for _ in range(40):
        before = len(readable)
        await wait_until(lambda count=before: len(readable) > count, description="the users' new key works")
        erasures.append([time.monotonic()])
        assert await eraser.erase_user_key("ann")
        erasures[-1].append(time.monotonic())
    for writer in writers:
        writer.cancel()
    ends = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def test_an_offer_sent_again_after_an_erasure_does_not_bring_the_key_back(
    key_server: RedisServer, keys_raw: redis.Redis, namespace: str
) -> None:
    ring = KeyRing({"k1": secret_of("k1")}, "k1")
    store = ScriptClient(redis.Redis.from_url(key_server.url()), timeout_seconds=5, connect_retries=2)
    names, user_keys = UserKeyNames(namespace), UserKeys(store, namespace, ring)
    offer = scripts.WrappedKey("00" * 16, b"e wrapped")
    assert await scripts.take_user_key(store, names, "ann", offer, 60_000) == offer
    assert await scripts.take_user_key(store, names, "ann", offer, 60_000) == offer
    assert await user_keys.erase("ann") is True
    assert await scripts.take_user_key(store, names, "ann", offer, 60_000) is None
    assert await scripts.rewrap_user_key(store, names, offer, b"anew") is False
    assert await scripts.read_user_key(store, names, offer.key_id, 90_000) is scripts.Gone.ERASED
    key_id, _ = await user_keys.take("ann", 60_000)
    assert key_id != offer.key_id
    assert b"wrapped" not in keys_raw.hgetall(names.key(offer.key_id))
    await store.aclose()


async def test_an_erasure_whose_answer_is_lost_says_that_it_erased(
    open_keyed: Opener, key_server: RedisServer
) -> None:
    session_id = await talk(open_keyed())
    async with Proxy(key_server.port) as proxy:
        proxy.lose_reply_of_call(1)
        manager = open_keyed(user_keys_url=proxy.url())
        assert await manager.erase_user_key("ann") is True
        await manager.aclose()
    await check_erased(open_keyed(), session_id)


async def test_this_process_forgets_its_copies_with_the_key(open_keyed: Opener) -> None:
    manager = open_keyed(CachedSessionManager, arguments={"max_staleness": 600})
    session_id = await talk(manager)
    await check_readable(manager, session_id)
    await manager.erase_user_key("ann")
    await check_erased(manager, session_id)


async def test_a_session_made_again_with_its_id_after_an_erasure_works(open_keyed: Opener) -> None:
    manager, other = open_keyed(), open_keyed()
    session_id = await talk(manager)
    await other.erase_user_key("ann")
    await other.delete_session(session_id)
    await other.create_session("ann", "bot", {"a": 1}, session_id=session_id)
    assert await manager.save_checkpoint(session_id, {"turn": 0})
    assert await manager.get_latest_checkpoint(session_id)
