"""Each user has a key, on a server of its own. Its erasure makes the user's values unreadable everywhere."""

import shutil
from collections.abc import Callable

import pytest
import redis

from agent_runtime.manager import SessionManager, SettingsError
from agent_runtime.manager.errors import DecryptionError
from tests.support.encryption import check_erased, check_readable, key_ring, stored_values, talk
from tests.support.keyspace import snapshot
from tests.support.redis_server import RedisServer

Opener = Callable[..., SessionManager]


async def test_a_users_values_are_sealed_under_one_key_and_those_of_another_under_another(
    open_keyed: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_keyed()
    sessions = [await talk(manager) for _ in range(2)]
    other = await talk(manager, "bob")
    for session_id in sessions:
        await check_readable(open_keyed(), session_id)
    await check_readable(open_keyed(), other, "bob")
    by_key: dict[bytes, int] = {}
    for value in stored_values(raw, namespace).values():
        assert value.startswith(b"u")
        by_key[value[1:17]] = by_key.get(value[1:17], 0) + 1
    assert sorted(by_key.values()) == [4, 8]


async def test_erasing_a_key_takes_what_it_sealed_and_nothing_else(open_keyed: Opener) -> None:
    manager, elsewhere = open_keyed(), open_keyed()
    session_id, other_id = await talk(manager), await talk(manager, "bob")
    await check_readable(elsewhere, session_id)
    assert await elsewhere.erase_user_key("ann") is True
    for each in (manager, elsewhere):
        await check_erased(each, session_id)
        await check_readable(each, other_id, "bob")
    assert await manager.erase_user_key("ann") is False
    assert await manager.delete_user_sessions("ann") == 1


async def test_the_user_begins_anew_after_an_erasure(open_keyed: Opener) -> None:
    manager = open_keyed()
    erased_id = await talk(manager)
    await manager.erase_user_key("ann")
    session_id = await talk(manager)
    found = await manager.get_session(session_id)
    assert found is not None
    assert found.metadata["topic"] == "Rumpelstiltskin"
    assert len(await manager.list_checkpoints(session_id)) == 2
    await check_erased(manager, erased_id)


async def test_an_erased_session_takes_nothing_more(
    open_keyed: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_keyed()
    session_id = await talk(manager)
    await manager.erase_user_key("ann")
    before = snapshot(raw, namespace)
    for write in (
        lambda each: each.save_checkpoint(session_id, {"turn": 9}),
        lambda each: each.update_session_metadata(session_id, {"a": 1}),
        lambda each: each.update_session(session_id, metadata={"a": 1}),
    ):
        for each in (manager, open_keyed()):  # the second has to look the key's id up
            with pytest.raises(DecryptionError, match=r"nothing was written: its user's key .* was erased"):
                await write(each)
    assert snapshot(raw, namespace) == before
    assert await manager.delete_session(session_id) is True


async def test_a_copy_of_the_data_is_read_before_the_erasure_and_not_after(
    open_keyed: Opener, namespace: str
) -> None:
    with RedisServer() as data_server, RedisServer() as restored:
        manager = open_keyed(redis_url=data_server.url())
        session_id = await talk(manager)
        with data_server.client() as client:
            client.save()
        restored.stop()
        shutil.copy(data_server.folder / "dump.rdb", restored.folder / "dump.rdb")
        restored.start()
        of_copy = open_keyed(redis_url=restored.url())
        await check_readable(of_copy, session_id)

        await manager.erase_user_key("ann")

        await check_erased(manager, session_id)
        await check_erased(of_copy, session_id)
        for each in (manager, of_copy):
            await each.aclose()


async def test_what_lies_on_the_key_server_opens_nothing_without_the_ring(
    open_keyed: Opener, keys_raw: redis.Redis, namespace: str
) -> None:
    session_id = await talk(open_keyed())
    [key] = keys_raw.keys(f"{namespace}:{{keys}}:k:*")
    assert keys_raw.hget(key, "wrapped").startswith(b"e\x02k1")
    assert b"ann" not in b"".join(keys_raw.keys())
    with pytest.raises(DecryptionError, match=r"its user's key .* under the key 'k1', which is not in"):
        await open_keyed(encryption_keys=key_ring("k2")).get_session(session_id)


async def test_a_wrapped_key_in_another_keys_place_does_not_open(
    open_keyed: Opener, keys_raw: redis.Redis, namespace: str
) -> None:
    manager = open_keyed()
    session_id = await talk(manager)
    await talk(manager, "bob")
    first, second = keys_raw.keys(f"{namespace}:{{keys}}:k:*")
    for key, wrapped in (
        (first, keys_raw.hget(second, "wrapped")),
        (second, keys_raw.hget(first, "wrapped")),
    ):
        keys_raw.hset(key, "wrapped", wrapped)
    with pytest.raises(DecryptionError, match=r"its user's key .* altered, or moved"):
        await manager.get_session(session_id)
    with pytest.raises(DecryptionError, match=r"nothing was written: .* altered, or moved"):
        await manager.create_session("ann", "bot")


async def test_a_turned_ring_wraps_a_users_key_anew_with_its_next_write(
    open_keyed: Opener, keys_raw: redis.Redis, namespace: str
) -> None:
    session_id = await talk(open_keyed())
    turned = open_keyed(encryption_keys=key_ring("k2", "k1"))
    await check_readable(turned, session_id)
    await turned.update_session_metadata(session_id, {"more": 1})
    [key] = keys_raw.keys(f"{namespace}:{{keys}}:k:*")
    assert keys_raw.hget(key, "wrapped").startswith(b"e\x02k2")
    await check_readable(open_keyed(encryption_keys=key_ring("k2")), session_id)


async def test_a_session_from_before_the_users_had_keys_stays_under_the_ring(
    open_manager: Opener, open_keyed: Opener, raw: redis.Redis, namespace: str
) -> None:
    session_id = await talk(open_manager(encryption_keys=key_ring("k1")))
    manager = open_keyed()
    await manager.save_checkpoint(session_id, {"turn": 2})
    assert {value[:1] for value in stored_values(raw, namespace).values()} == {b"e"}
    assert await manager.erase_user_key("ann") is False
    assert len(await manager.list_checkpoints(session_id)) == 3


async def test_a_value_that_names_a_key_which_is_not_there_is_said(
    open_keyed: Opener, open_manager: Opener, keys_raw: redis.Redis, raw: redis.Redis, namespace: str
) -> None:
    manager = open_keyed()
    session_id = await talk(manager)
    without = open_manager(encryption_keys=key_ring("k1"))
    with pytest.raises(DecryptionError, match="AGENT_SESSIONS_USER_KEYS_URL is not set"):
        await without.get_session(session_id)
    keys_raw.flushall()
    with pytest.raises(DecryptionError, match=r"its user's key [0-9a-f]{32} is not there"):
        await manager.get_session(session_id)
    for cut in (b"u", b"u1234", b"u" + bytes(15)):
        raw.hset(f"{namespace}:{{0}}:s:{session_id}", "m:more", cut)
        raw.hdel(f"{namespace}:{{0}}:s:{session_id}", "m:topic")
        with pytest.raises(DecryptionError, match=r"'more' .* cut short"):
            await manager.get_session(session_id)


async def test_without_a_server_for_keys_nothing_can_be_erased(open_manager: Opener) -> None:
    for arguments in ({}, {"encryption_keys": key_ring("k1")}):
        with pytest.raises(SettingsError, match="AGENT_SESSIONS_USER_KEYS_URL is not set"):
            await open_manager(**arguments).erase_user_key("ann")
