"""`max_checkpoints`: a session never holds more that are not pinned, and the newest always stays."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import fakeredis
import pytest
import redis
from pydantic import ValidationError

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.scripts import checkpoints as scripts
from agent_runtime.manager.scripts.checkpoints import EncodedCheckpoint
from tests.support.keyspace import script_calls, snapshot
from tests.support.pins import stored_pins
from tests.support.sessions import save_turns, turns

Opener = Callable[..., SessionManager]


@pytest.mark.parametrize(("bound", "kept"), [(1, [9]), (3, [7, 8, 9]), (10, list(range(10)))])
async def test_saving_another_drops_the_oldest(open_manager: Opener, bound: int, kept: list[int]) -> None:
    manager = open_manager(max_checkpoints=bound)
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 10)
    assert await turns(manager, session.session_id) == kept


async def test_without_the_setting_there_is_no_bound(manager: SessionManager) -> None:
    assert manager.settings.max_checkpoints is None
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 120)
    assert len(await turns(manager, session.session_id)) == 120


async def test_pinned_checkpoints_are_kept_and_not_counted(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(max_checkpoints=2)
    session = await manager.create_session("ann", "bot")
    ids = [
        await manager.save_checkpoint(session.session_id, {"turn": turn}, pin=turn in (0, 3, 4))
        for turn in range(8)
    ]
    assert await turns(manager, session.session_id) == [0, 3, 4, 6, 7]
    assert stored_pins(raw, namespace, session.session_id) == {ids[0], ids[3], ids[4]}


async def test_a_pinned_newest_leaves_room_for_as_many_that_are_not(open_manager: Opener) -> None:
    manager = open_manager(max_checkpoints=2)
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 2)
    for turn in (2, 3):
        await manager.save_checkpoint(session.session_id, {"turn": turn}, pin=True)
    assert await turns(manager, session.session_id) == [0, 1, 2, 3]


async def test_what_is_unpinned_counts_from_the_next_save_on(open_manager: Opener) -> None:
    manager = open_manager(max_checkpoints=2)
    session = await manager.create_session("ann", "bot")
    ids = [
        await manager.save_checkpoint(session.session_id, {"turn": turn}, pin=turn < 2) for turn in range(4)
    ]
    for each in ids[:2]:
        assert await manager.unpin_checkpoint(session.session_id, each)
    assert await turns(manager, session.session_id) == [0, 1, 2, 3]
    await manager.save_checkpoint(session.session_id, {"turn": 4})
    assert await turns(manager, session.session_id) == [3, 4]


@pytest.mark.parametrize("pins", [0, 30])
async def test_a_session_far_over_a_new_bound_comes_down_in_steps(
    manager: SessionManager, open_manager: Opener, raw: redis.Redis, namespace: str, pins: int
) -> None:
    session_id = (await manager.create_session("ann", "bot")).session_id
    ids = [await manager.save_checkpoint(session_id, {"turn": turn}, pin=turn < pins) for turn in range(300)]
    bounded = open_manager(max_checkpoints=10)
    left = 300 - pins
    for turn in range(300, 305):
        newest = await bounded.save_checkpoint(session_id, {"turn": turn})
        left = max(10, left + 1 - 100)
        assert raw.zcard(f"{namespace}:{{0}}:o:{session_id}") == left + pins
        latest = await bounded.get_latest_checkpoint(session_id)
        assert latest is not None
        assert latest["checkpoint_id"] == newest
    assert await turns(manager, session_id) == [*range(pins), *range(295, 305)]
    assert stored_pins(raw, namespace, session_id) == set(ids[:pins])


async def test_saving_under_a_bound_is_one_round_trip(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(max_checkpoints=2)
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 3)
    before = script_calls(raw)
    await save_turns(manager, session.session_id, 5)
    assert script_calls(raw) - before == 5


async def test_managers_that_save_at_once_are_never_over_the_bound(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    managers = [open_manager(max_checkpoints=5) for _ in range(2)]
    session_id = (await managers[0].create_session("ann", "bot")).session_id
    order = f"{namespace}:{{0}}:o:{session_id}"
    seen = []

    async def save(manager: SessionManager) -> list[str]:
        ids = []
        for turn in range(60):
            ids.append(await manager.save_checkpoint(session_id, {"turn": turn}))
            seen.append(raw.zcard(order))
        return ids

    saved = await asyncio.gather(*(save(manager) for manager in managers * 3))
    assert max(seen) == 5
    left = [each["checkpoint_id"] for each in await managers[0].list_checkpoints(session_id)]
    assert len(left) == 5
    assert set(left) <= {checkpoint_id for ids in saved for checkpoint_id in ids[-5:]}
    assert stored_pins(raw, namespace, session_id) == set()


async def test_a_repeated_save_drops_nothing_more(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    unbounded, bounded = open_manager(), open_manager(max_checkpoints=10)
    session_id = (await unbounded.create_session("ann", "bot")).session_id
    await save_turns(unbounded, session_id, 300)
    keys, new = bounded._context.partitions.home, EncodedCheckpoint(session_id, "ckpt_new", b"j{}", pin=True)
    for attempt in range(2):
        saved = await scripts.save_checkpoints(bounded._context.client, keys, [new], max_unpinned=10)
        assert saved == [True]
        if attempt == 0:
            written = snapshot(raw, namespace)
    assert snapshot(raw, namespace) == written


async def test_a_bound_works_in_a_fake(open_manager: Opener) -> None:
    manager = open_manager(conn=fakeredis.FakeRedis(), max_checkpoints=2)
    session = await manager.create_session("ann", "bot")
    for turn in range(5):
        await manager.save_checkpoint(session.session_id, {"turn": turn}, pin=turn == 1)
    assert await turns(manager, session.session_id) == [1, 3, 4]


@pytest.mark.parametrize("value", [0, -1, 1.5, "many"])
def test_a_bound_that_is_no_whole_number_above_zero_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="max_checkpoints"):
        Settings(max_checkpoints=value)


def test_the_bound_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENT_SESSIONS_MAX_CHECKPOINTS", "7")
    assert Settings().max_checkpoints == 7
