"""The server of users' keys: lifetimes of its keys, calls to it, and behaviour while it is down."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from agent_runtime.manager import SessionManager, Settings, StoreOutcomeUnknownError, StoreUnavailableError
from tests.support.encryption import check_erased, check_readable, key_ring, talk
from tests.support.keyspace import script_calls, snapshot
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]

_DAY_MS = 86_400_000


def _lives(client: redis.Redis, namespace: str) -> list[int]:
    """Return the times to live of the key and its owner's entry, ms: [key, owner]."""
    [key] = client.keys(f"{namespace}:{{keys}}:k:*")
    [owner] = client.keys(f"{namespace}:{{keys}}:u:*")
    return [client.pttl(key), client.pttl(owner)]


@pytest.mark.parametrize("change", ["created", "refreshed", "lengthened"])
async def test_a_key_outlives_every_session_and_can_be_erased_for_as_long(
    open_keyed: Opener, keys_raw: redis.Redis, namespace: str, change: str
) -> None:
    session_id = await talk(open_keyed(ttl=60))
    assert _DAY_MS < _lives(keys_raw, namespace)[0] <= _DAY_MS + 60_000
    if change == "created":
        await open_keyed(ttl=9_000).create_session("ann", "bot")
    elif change == "refreshed":
        await open_keyed(ttl=9_000).refresh_session(session_id)
    else:
        expires_at = datetime.now(UTC) + timedelta(seconds=9_000)
        await open_keyed().update_session(session_id, expires_at=expires_at)
    key, owner = _lives(keys_raw, namespace)
    assert _DAY_MS + 8_900_000 < key <= _DAY_MS + 9_000_000
    assert key < owner, "an erasure finds a key by its owner"
    await open_keyed(ttl=60).refresh_session(session_id)
    assert _lives(keys_raw, namespace)[0] > _DAY_MS + 8_900_000, "never shortened"


async def test_reading_and_saving_leave_the_life_of_a_key_as_it_is(
    open_keyed: Opener, keys_raw: redis.Redis, namespace: str
) -> None:
    session_id = await talk(open_keyed())
    [key] = keys_raw.keys(f"{namespace}:{{keys}}:k:*")
    keys_raw.pexpire(key, 50_000)
    await check_readable(open_keyed(), session_id)
    await open_keyed().save_checkpoint(session_id, {})
    assert 0 < keys_raw.pttl(key) <= 50_000


async def test_a_key_server_that_is_down_or_silent_is_a_clear_error_and_nothing_is_written(
    open_keyed: Opener, raw: redis.Redis, namespace: str
) -> None:
    with RedisServer() as own:
        session_id = await talk(open_keyed(user_keys_url=own.url()))
        manager = open_keyed(user_keys_url=own.url(), call_timeout_seconds=1, connect_retries=0)
        before = snapshot(raw, namespace)
        for fail in (own.freeze, own.kill):
            fail()
            for call in (
                lambda: manager.create_session("ann", "bot", {"a": 1}),
                lambda: manager.save_checkpoint(session_id, {"turn": 9}),
                lambda: manager.update_session_metadata(session_id, {"a": 1}),
                lambda: manager.refresh_session(session_id),
                lambda: manager.get_session(session_id),
                lambda: manager.get_latest_checkpoint(session_id),
            ):
                with pytest.raises(StoreUnavailableError, match="the server of AGENT_SESSIONS_USER_KEYS_URL"):
                    await call()
        assert snapshot(raw, namespace) == before
        assert await manager.delete_session(session_id) is True
        await manager.aclose()


async def test_a_key_server_that_goes_down_once_something_is_written_leaves_it_unknown(
    open_keyed: Opener, server: RedisServer
) -> None:
    with RedisServer() as own:
        async with Proxy(server.port) as proxy:
            manager = open_keyed(redis_url=proxy.url(), user_keys_url=own.url(), connect_retries=0)
            session_id = await talk(manager)
            proxy.hold_replies()
            calls = proxy.calls
            writing = asyncio.create_task(manager.save_checkpoint(session_id, {"turn": 9}))
            await wait_until(lambda: proxy.calls > calls, description="the write is on its way")
            own.kill()
            proxy.release_replies()
            with pytest.raises(StoreOutcomeUnknownError, match="written, but perhaps under an erased key"):
                await writing
            await manager.aclose()


async def test_a_page_of_sessions_asks_once_for_each_key(open_keyed: Opener, keys_raw: redis.Redis) -> None:
    manager = open_keyed()
    for user in ("ann", "bob"):
        for _ in range(5):
            await manager.create_session(user, "bot", {"a": 1, "b": 2})
    before = script_calls(keys_raw)
    assert len(await manager.get_sessions_by_agent("bot")) == 10
    assert script_calls(keys_raw) - before == 2


async def test_without_metadata_and_checkpoints_no_key_is_asked_for_when_reading(
    open_keyed: Opener, keys_raw: redis.Redis
) -> None:
    manager = open_keyed()
    session = await manager.create_session("u" * 40, "u" * 40)
    before = script_calls(keys_raw)
    assert await manager.get_session(session.session_id) == session
    assert script_calls(keys_raw) == before


def test_settings_do_not_show_the_password_of_the_key_server() -> None:
    assert "secret" not in repr(Settings(user_keys_url="redis://:secret@host/0"))


#: The rights as docs/encryption.md gives them.
_RIGHTS = "+eval +evalsha +script|load +get +set +hget +hmget +hset +exists +pttl +pexpire +unlink"


async def test_the_fewest_rights_named_are_enough(open_keyed: Opener, namespace: str) -> None:
    assert _RIGHTS in (Path(__file__).parents[2] / "docs" / "encryption.md").read_text()
    with RedisServer() as own:
        with own.client() as client:
            rights = _RIGHTS.split()
            client.execute_command("ACL", "SETUSER", "app", "on", ">pw", f"~{namespace}:{{keys}}:*", *rights)
        url = own.url().replace("//", "//app:pw@")
        manager = open_keyed(user_keys_url=url)
        session_id = await talk(manager)
        await check_readable(manager, session_id)
        turned = open_keyed(user_keys_url=url, encryption_keys=key_ring("k2", "k1"))
        await turned.save_checkpoint(session_id, {"turn": 2})
        assert await manager.refresh_session(session_id)
        assert await manager.erase_user_key("ann") is True
        await check_erased(manager, session_id)
        for each in (manager, turned):
            await each.aclose()
