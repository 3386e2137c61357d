"""Chunks that checkpoints share are encrypted one by one, each bound to its place."""

from collections.abc import Callable

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.chunks.chunk_cache import NOTHING_OPENED
from agent_runtime.manager.errors import DecryptionError
from tests.support.encryption import key_ring, stored_values
from tests.support.talks import checkpoint_of, talk

Opener = Callable[..., SessionManager]


async def _save(manager: SessionManager, session_id: str = "") -> tuple[str, list[str]]:
    session_id = session_id or (await manager.create_session("ann", "bot")).session_id
    history = talk(12)
    ids = [await manager.save_checkpoint(session_id, checkpoint_of(history, turn)) for turn in range(9, 13)]
    return session_id, ids


async def test_chunks_are_sealed_and_equal_ones_of_two_sessions_do_not_show(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(encryption_keys=key_ring("k1"))
    for _ in range(2):
        session_id, ids = await _save(manager)
        listed = await open_manager(encryption_keys=key_ring("k1")).list_checkpoints(session_id)
        assert [each["data"] for each in listed] == [checkpoint_of(talk(12), turn) for turn in range(9, 13)]
        assert await manager.get_checkpoint(session_id, ids[0]) == listed[0]
    values = stored_values(raw, namespace)
    assert len(values) > 20
    assert all(value.startswith(b"e\x02k1") for value in values.values())
    fields = [field for key in raw.scan_iter(f"{namespace}:*:c:*") for field in raw.hkeys(key)]
    names = [field for field in fields if field != b"\xff"]
    assert len(set(names)) == len(names)


async def test_a_chunk_put_in_another_place_does_not_open(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(encryption_keys=key_ring("k1"))
    session_id, _ = await _save(manager)
    key = f"{namespace}:{{0}}:c:{session_id}"
    one, other = [field for field in raw.hkeys(key) if field[:1] == b"\xff" and field != b"\xff"][:2]
    sound = raw.hget(key, one)
    raw.hset(key, one, raw.hget(key, other))
    with pytest.raises(DecryptionError, match=f"c:{session_id}.* altered, or moved"):
        await manager.get_latest_checkpoint(session_id)
    raw.hset(key, one, sound)
    assert await manager.get_latest_checkpoint(session_id)


async def test_a_checkpoint_given_other_chunks_does_not_open(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(encryption_keys=key_ring("k1"))
    session_id, ids = await _save(manager)
    key = f"{namespace}:{{0}}:c:{session_id}"
    shorter, longer = raw.hget(key, ids[0]), raw.hget(key, ids[3])
    raw.hset(key, ids[3], shorter.partition(b"\n")[0] + b"\n" + longer.partition(b"\n")[2])
    with pytest.raises(DecryptionError, match=f"c:{session_id}.* altered, or moved"):
        await manager.get_latest_checkpoint(session_id)
    raw.hset(key, ids[3], longer)
    assert await manager.get_latest_checkpoint(session_id)


async def test_chunks_in_the_clear_are_refused_where_encryption_is_required(open_manager: Opener) -> None:
    session_id, _ = await _save(open_manager())
    strict = open_manager(encryption_keys=key_ring("k1"), encryption_required=True)
    with pytest.raises(DecryptionError, match="not encrypted"):
        await strict.get_latest_checkpoint(session_id)


async def test_chunks_of_an_erased_user_are_not_read_any_more(open_keyed: Opener) -> None:
    manager = open_keyed()
    session_id, ids = await _save(manager)
    assert await manager.get_checkpoint(session_id, ids[3])
    assert await manager.erase_user_key("ann")
    with pytest.raises(DecryptionError, match="was erased"):
        await manager.get_checkpoint(session_id, ids[3])


async def test_nothing_that_was_sealed_is_kept_in_the_clear(open_manager: Opener) -> None:
    saving, reading = (open_manager(encryption_keys=key_ring("k1")) for _ in range(2))
    session_id, _ = await _save(saving)
    assert await reading.get_latest_checkpoint(session_id)
    for manager in (saving, reading):
        assert manager._context.copies.chunk_index.opened.of(session_id) is NOTHING_OPENED


async def test_what_was_sealed_is_stored_once_as_well(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(encryption_keys=key_ring("k1"))
    session_id, _ = await _save(manager)
    key = f"{namespace}:{{0}}:c:{session_id}"
    before = {field: raw.hget(key, field) for field in raw.hkeys(key) if field[:1] == b"\xff"}
    await manager.save_checkpoint(session_id, checkpoint_of(talk(13), 13))
    after = {field for field in raw.hkeys(key) if field[:1] == b"\xff"}
    assert len(after - before.keys()) == 1
