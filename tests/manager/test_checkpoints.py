"""Checkpoints: their order, their size, and that they live as long as their session."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, timedelta
from itertools import pairwise
from typing import Any

import pytest
import redis

from agent_runtime.manager import Checkpoint, CorruptDataError, SessionManager
from tests.manager.test_metadata import EXACT
from tests.support.expiry import MOMENT_MS, expiries_ms
from tests.support.keyspace import script_calls, snapshot
from tests.support.sessions import save_turns, turns


async def _saved(manager: SessionManager, session_id: str) -> list[dict[str, Any]]:
    """The checkpoints of the session, each read in all three ways."""
    listed = await manager.list_checkpoints(session_id)
    for each in listed:
        assert await manager.get_checkpoint(session_id, each["checkpoint_id"]) == each
    assert await manager.get_latest_checkpoint(session_id) == (listed[-1] if listed else None)
    return listed


async def test_a_checkpoint_has_the_fields_of_the_contract(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    checkpoint_id = await manager.save_checkpoint(session.session_id, {"turn": 1})
    [found] = await _saved(manager, session.session_id)
    assert list(found) == ["checkpoint_id", "session_id", "data", "created_at"]
    assert found["checkpoint_id"] == checkpoint_id
    assert checkpoint_id.startswith("ckpt_")
    assert found["created_at"].tzinfo is UTC
    assert Checkpoint(**found).data == {"turn": 1}


@pytest.mark.parametrize("data", [EXACT, {}, {"": {}}], ids=["everything", "empty", "empty key"])
@pytest.mark.parametrize("above", [0, 10**9], ids=["compressed", "plain"])
async def test_data_comes_back_exactly(
    open_manager: Callable[..., SessionManager], data: dict[str, Any], above: int
) -> None:
    manager = open_manager(compress_above_bytes=above)
    session = await manager.create_session("ann", "bot")
    await manager.save_checkpoint(session.session_id, data)
    [found] = await _saved(manager, session.session_id)
    assert repr(found["data"]) == repr(data)


@pytest.mark.parametrize(("size", "format_byte"), [(1023, b"j"), (1024, b"j"), (1025, b"z")])
async def test_data_above_the_threshold_is_compressed(
    manager: SessionManager, raw: redis.Redis, namespace: str, size: int, format_byte: bytes
) -> None:
    session = await manager.create_session("ann", "bot")
    data = {"k": "x" * (size - len('{"k":""}'))}
    checkpoint_id = await manager.save_checkpoint(session.session_id, data)
    stored = raw.hget(f"{namespace}:{{0}}:c:{session.session_id}", checkpoint_id)
    assert stored[:1] == format_byte
    assert (len(stored) < 200) is (format_byte == b"z")
    assert (await _saved(manager, session.session_id))[0]["data"] == data


async def test_a_megabyte_that_does_not_compress_is_fine(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    data = {"noise": os.urandom(600_000).hex()}
    await manager.save_checkpoint(session.session_id, data)
    latest = await manager.get_latest_checkpoint(session.session_id)
    assert latest is not None
    assert latest["data"] == data


@pytest.mark.parametrize("stored", [b"", b"j", b"znothing", b'?{"a":1}'])
async def test_what_cannot_be_read_is_said_with_its_key(
    manager: SessionManager, raw: redis.Redis, namespace: str, stored: bytes
) -> None:
    session = await manager.create_session("ann", "bot")
    checkpoint_id = await manager.save_checkpoint(session.session_id, {"turn": 1})
    key = f"{namespace}:{{0}}:c:{session.session_id}"
    raw.hset(key, checkpoint_id, stored)
    with pytest.raises(CorruptDataError, match=f"checkpoint '{checkpoint_id}' at .*c:{session.session_id}"):
        await manager.get_latest_checkpoint(session.session_id)


@pytest.mark.parametrize(
    ("field", "value"), [("created", "soon"), ("expires", "9" * 30), ("m:a", b"j{"), (b"m:\xff", b"j1")]
)
async def test_a_session_that_cannot_be_read_is_said_with_its_key(
    manager: SessionManager, raw: redis.Redis, namespace: str, field: Any, value: Any
) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1})
    raw.hset(f"{namespace}:{{0}}:s:{session.session_id}", field, value)
    with pytest.raises(CorruptDataError, match=f"s:{session.session_id}"):
        await manager.get_session(session.session_id)


async def test_gathered_saves_rise_strictly_in_time(open_manager: Callable[..., SessionManager]) -> None:
    managers = [open_manager() for _ in range(3)]
    session = await managers[0].create_session("ann", "bot")
    ids = await asyncio.gather(
        *(managers[turn % 3].save_checkpoint(session.session_id, {"turn": turn}) for turn in range(150))
    )
    saved = await _saved(managers[0], session.session_id)
    assert {each["checkpoint_id"] for each in saved} == set(ids)
    assert all(older["created_at"] < newer["created_at"] for older, newer in pairwise(saved))


async def test_one_caller_finds_its_saves_in_the_order_it_made_them(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    await asyncio.gather(
        *(manager.save_checkpoint(session.session_id, {"turn": turn}) for turn in range(100))
    )
    assert await turns(manager, session.session_id) == list(range(100))


async def test_a_checkpoint_saved_after_the_clock_went_back_is_still_the_newest(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session = await manager.create_session("ann", "bot")
    [first] = await save_turns(manager, session.session_id, 1)
    ahead_us = 4_000_000_000_000_000  # the year 2096
    raw.zadd(f"{namespace}:{{0}}:o:{session.session_id}", {first: ahead_us})
    second = await manager.save_checkpoint(session.session_id, {"turn": 1})
    saved = await _saved(manager, session.session_id)
    assert [each["checkpoint_id"] for each in saved] == [first, second]
    assert saved[1]["created_at"] - saved[0]["created_at"] == timedelta(microseconds=1)


@pytest.mark.parametrize("count", [200, 201, 450])
async def test_a_listing_is_complete_over_pages_of_many(manager: SessionManager, count: int) -> None:
    session = await manager.create_session("ann", "bot")
    await asyncio.gather(
        *(manager.save_checkpoint(session.session_id, {"turn": turn}) for turn in range(count))
    )
    assert await turns(manager, session.session_id) == list(range(count))


async def test_a_listing_is_complete_over_pages_of_much(
    open_manager: Callable[..., SessionManager], raw: redis.Redis
) -> None:
    manager = open_manager(compress_above_bytes=10**9, dedupe_above_bytes=10**9)
    session = await manager.create_session("ann", "bot")
    for turn in range(7):
        await manager.save_checkpoint(session.session_id, {"turn": turn, "bulk": "x" * 700_000})
    before = script_calls(raw)
    assert await turns(manager, session.session_id) == list(range(7))
    assert script_calls(raw) - before >= 4  # a page ends at a megabyte, and so holds two


async def test_a_listing_that_fits_one_page_is_read_at_one_moment(
    manager: SessionManager, raw: redis.Redis
) -> None:
    session = await manager.create_session("ann", "bot")
    for count in (0, 3):
        await save_turns(manager, session.session_id, count)
        before = script_calls(raw)
        assert await turns(manager, session.session_id) == list(range(count))
        assert script_calls(raw) - before == 1


async def test_a_deleted_checkpoint_leaves_the_others(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    ids = await save_turns(manager, session.session_id, 4)
    assert await manager.delete_checkpoint(session.session_id, ids[1]) is True
    assert await manager.delete_checkpoint(session.session_id, ids[1]) is False
    assert await turns(manager, session.session_id) == [0, 2, 3]
    assert await manager.delete_checkpoint(session.session_id, ids[3]) is True
    latest = await manager.get_latest_checkpoint(session.session_id)
    assert latest is not None
    assert latest["checkpoint_id"] == ids[2]


async def test_a_cleared_session_has_none_and_takes_new_ones(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 3)
    assert await manager.clear_checkpoints(session.session_id) == 3
    assert await manager.clear_checkpoints(session.session_id) == 0
    assert await _saved(manager, session.session_id) == []
    await save_turns(manager, session.session_id, 1)
    assert await turns(manager, session.session_id) == [0]


async def test_deleting_a_session_deletes_its_checkpoints(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 3)
    assert await manager.delete_session(session.session_id)
    assert snapshot(raw, namespace) == {}


@pytest.mark.parametrize("change", ["created", "refreshed", "lengthened", "shortened", "moved"])
async def test_every_key_of_a_session_expires_with_it(
    manager: SessionManager, raw: redis.Redis, namespace: str, change: str
) -> None:
    session = await manager.create_session("ann", "bot")
    session_id = session.session_id
    if change == "refreshed":
        await manager.update_session(session_id, expires_at=session.created_at + timedelta(seconds=30))
    await save_turns(manager, session_id, 2)
    await {
        "created": lambda: manager.session_exists(session_id),
        "refreshed": lambda: manager.refresh_session(session_id),
        "lengthened": lambda: manager.update_session(
            session_id, expires_at=session.expires_at + timedelta(days=1)
        ),
        "shortened": lambda: manager.update_session(
            session_id, expires_at=session.created_at + timedelta(seconds=90)
        ),
        "moved": lambda: manager.update_session(session_id, agent_id="other"),
    }[change]()
    found = await manager.get_session(session_id)
    assert found is not None
    expires_ms = round(found.expires_at.timestamp() * 1000)
    prefix = f"{namespace}:{{0}}:"
    for each in expiries_ms(raw, *(f"{prefix}{kind}:{session_id}" for kind in "sco")):
        assert abs(each - expires_ms) <= MOMENT_MS
    assert raw.zscore(f"{prefix}u:ann", session_id) == expires_ms
    assert raw.zscore(f"{prefix}a:{found.agent_id}", session_id) == expires_ms
    assert raw.zrange(f"{prefix}x", 0, -1, withscores=True) == [
        (f"{session_id} 3 ann{found.agent_id}".encode(), expires_ms)
    ]
    indexes = ("u:ann", f"a:{found.agent_id}", "x")
    assert min(expiries_ms(raw, *(prefix + index for index in indexes))) >= expires_ms - MOMENT_MS
