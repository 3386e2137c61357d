"""Pinned checkpoints: what pins them, what the pin keeps them from, and where it ends."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import fakeredis
import pytest
import redis

from agent_runtime.manager import CachedSessionManager, InvalidArgumentError, SessionManager
from tests.support.jobs import open_pruning
from tests.support.keyspace import script_calls, snapshot
from tests.support.pins import stored_pins
from tests.support.sessions import let_expire, save_turns, turns

Opener = Callable[..., SessionManager]


async def _pinned_turns(manager: SessionManager, count: int, pinned: list[int]) -> tuple[str, list[str]]:
    """A session with so many checkpoints, of which those are pinned, and the ids of all."""
    session = await manager.create_session("ann", "bot")
    ids = await save_turns(manager, session.session_id, count)
    for turn in pinned:
        assert await manager.pin_checkpoint(session.session_id, ids[turn])
    return session.session_id, ids


async def test_pinned_checkpoints_are_listed_oldest_first(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session_id, ids = await _pinned_turns(manager, 12, [7, 1, 11, 0, 4])
    assert await manager.pinned_checkpoints(session_id) == [ids[turn] for turn in (0, 1, 4, 7, 11)]
    assert stored_pins(raw, namespace, session_id) == {ids[turn] for turn in (0, 1, 4, 7, 11)}


async def test_a_checkpoint_can_be_saved_pinned(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session = await manager.create_session("ann", "bot")
    await manager.save_checkpoint(session.session_id, {"turn": 0})
    pinned = await manager.save_checkpoint(session.session_id, {"turn": 1}, pin=True)
    await manager.save_checkpoint(session.session_id, {"turn": 2}, pin=False)
    assert await manager.pinned_checkpoints(session.session_id) == [pinned]
    assert stored_pins(raw, namespace, session.session_id) == {pinned}
    assert await turns(manager, session.session_id) == [0, 1, 2]


async def test_pinning_and_unpinning_again_answer_the_same_and_change_nothing(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session_id, ids = await _pinned_turns(manager, 2, [])
    assert await manager.unpin_checkpoint(session_id, ids[0]) is True
    for change, pinned in ((manager.pin_checkpoint, [ids[0]]), (manager.unpin_checkpoint, [])):
        assert await change(session_id, ids[0]) is True
        written = snapshot(raw, namespace)
        assert await change(session_id, ids[0]) is True
        assert snapshot(raw, namespace) == written
        assert await manager.pinned_checkpoints(session_id) == pinned
        assert stored_pins(raw, namespace, session_id) == set(pinned)


@pytest.mark.parametrize("why", ["unknown", "of another", "deleted", "expired", "revoked", "no session"])
async def test_where_there_is_no_such_checkpoint_nothing_is_pinned(
    manager: SessionManager, raw: redis.Redis, namespace: str, why: str
) -> None:
    session = await manager.create_session("ann", "bot")
    session_id = session.session_id
    [checkpoint_id] = await save_turns(manager, session_id, 1)
    if why == "unknown":
        checkpoint_id = "ckpt_unknown"
    elif why == "of another":
        session_id = (await manager.create_session("bob", "bot")).session_id
    elif why == "deleted":
        await manager.delete_checkpoint(session_id, checkpoint_id)
    elif why == "expired":
        await let_expire(manager, session)
    elif why == "revoked":
        await manager.revoke_user_sessions("ann")
    else:
        session_id = "sess_unknown"
    before = snapshot(raw, namespace)
    assert await manager.pin_checkpoint(session_id, checkpoint_id) is False
    assert await manager.unpin_checkpoint(session_id, checkpoint_id) is False
    assert await manager.pinned_checkpoints(session_id) == []
    assert snapshot(raw, namespace) == before


async def test_the_pins_of_a_session_that_is_not_live_are_not_told(manager: SessionManager) -> None:
    session_id, ids = await _pinned_turns(manager, 1, [0])
    assert await manager.pinned_checkpoints(session_id) == ids
    await manager.revoke_user_sessions("ann")
    assert await manager.pinned_checkpoints(session_id) == []


async def test_what_is_read_of_a_checkpoint_does_not_tell_of_its_pin(manager: SessionManager) -> None:
    session_id, ids = await _pinned_turns(manager, 1, [])
    before = await manager.get_checkpoint(session_id, ids[0])
    await manager.pin_checkpoint(session_id, ids[0])
    assert await manager.get_checkpoint(session_id, ids[0]) == before
    assert await manager.get_latest_checkpoint(session_id) == before
    assert await manager.list_checkpoints(session_id) == [before]


async def test_each_call_is_one_round_trip(manager: SessionManager, raw: redis.Redis) -> None:
    session_id, ids = await _pinned_turns(manager, 5, [0, 1])
    for call in (
        lambda: manager.save_checkpoint(session_id, {}, pin=True),
        lambda: manager.pin_checkpoint(session_id, ids[2]),
        lambda: manager.unpin_checkpoint(session_id, ids[2]),
        lambda: manager.pinned_checkpoints(session_id),
    ):
        await call()  # the server learns the script
        before = script_calls(raw)
        await call()
        assert script_calls(raw) - before == 1


async def test_no_key_is_added_and_none_is_left_of_a_deleted_session(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session_id, ids = await _pinned_turns(manager, 3, [])
    before = set(snapshot(raw, namespace))
    await manager.pin_checkpoint(session_id, ids[0])
    assert set(snapshot(raw, namespace)) == before
    assert await manager.delete_user_sessions("ann") == 1
    assert [key for key in snapshot(raw, namespace) if session_id.encode() in key] == []


async def test_sessions_are_read_as_if_there_were_no_pins(open_manager: Opener) -> None:
    manager = open_manager(CachedSessionManager)
    session = await manager.create_session("ann", "bot", {"pins": 3, "p:x": 1})
    [checkpoint_id] = await save_turns(manager, session.session_id, 1)
    assert await manager.pin_checkpoint(session.session_id, checkpoint_id)
    assert await manager.get_session(session.session_id) == session
    assert await manager.get_sessions_by_user("ann") == [session]
    assert await manager.get_sessions_by_agent("bot") == [session]
    assert await manager.pinned_checkpoints(session.session_id) == [checkpoint_id]


async def test_metadata_and_pins_leave_each_other_alone(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(max_metadata_bytes=100)
    session = await manager.create_session("ann", "bot", {"k": "x" * 46})  # 50 bytes
    ids = await save_turns(manager, session.session_id, 20)
    for each in ids:
        assert await manager.pin_checkpoint(session.session_id, each)
    assert await manager.update_session_metadata(session.session_id, {"l": "x" * 46})  # full
    with pytest.raises(InvalidArgumentError, match="max_metadata_bytes"):
        await manager.update_session_metadata(session.session_id, {"m": 1})
    assert await manager.update_session(session.session_id, metadata={"n": "x" * 96})
    assert await manager.update_session(session.session_id, agent_id="other")
    assert await manager.refresh_session(session.session_id)
    found = await manager.get_session(session.session_id)
    assert found is not None
    assert found.metadata == {"n": "x" * 96}
    assert await manager.pinned_checkpoints(session.session_id) == ids
    assert stored_pins(raw, namespace, session.session_id) == set(ids)


async def test_deleting_a_checkpoint_drops_its_pin_alone(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session_id, ids = await _pinned_turns(manager, 4, [0, 2])
    assert await manager.delete_checkpoint(session_id, ids[1]) is True
    assert await manager.pinned_checkpoints(session_id) == [ids[0], ids[2]]
    for _ in range(2):
        await manager.delete_checkpoint(session_id, ids[0])
        assert await manager.pinned_checkpoints(session_id) == [ids[2]]
        assert stored_pins(raw, namespace, session_id) == {ids[2]}


async def test_clearing_a_session_drops_all_pins(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session_id, _ = await _pinned_turns(manager, 4, [0, 2, 3])
    assert await manager.clear_checkpoints(session_id) == 4
    assert stored_pins(raw, namespace, session_id) == set()
    assert await manager.pinned_checkpoints(session_id) == []
    await save_turns(manager, session_id, 3)
    assert await manager.pinned_checkpoints(session_id) == []
    assert await manager.prune_checkpoints(keep_last=1) == 2


@pytest.mark.parametrize(
    ("policy", "pinned", "kept"),
    [
        ({"keep_last": 2}, [0, 3], [0, 3, 6, 7]),
        ({"keep_last": 2}, [6], [6, 7]),
        ({"keep_last": 2}, [0, 6, 7], [0, 6, 7]),
        ({"keep_last": 1}, [7], [7]),
        ({"keep_last": 0}, [1, 2], [1, 2, 7]),
        ({"keep_last": 0}, [0, 1, 2, 3, 4, 5, 6], list(range(8))),
        ({"older_than": timedelta(minutes=30)}, [1, 5], [1, 5, 7]),
        ({"older_than": timedelta(minutes=30), "keep_last": 4}, [0], [0, 7]),
    ],
)
@pytest.mark.parametrize("scope", ["session", "agent", "all"])
async def test_a_pruning_keeps_what_is_pinned_besides_what_it_would_keep(
    manager: SessionManager,
    raw: redis.Redis,
    namespace: str,
    policy: dict[str, Any],
    pinned: list[int],
    kept: list[int],
    scope: str,
) -> None:
    session_id, ids = await _pinned_turns(manager, 8, pinned)
    hour_ago_us = (raw.time()[0] - 3600) * 1_000_000
    raw.zadd(f"{namespace}:{{0}}:o:{session_id}", {each: hour_ago_us + n for n, each in enumerate(ids)})
    where = {"session": {"session_id": session_id}, "agent": {"agent_id": "bot"}, "all": {}}[scope]
    assert await manager.prune_checkpoints(**where, **policy) == 8 - len(kept)
    assert await turns(manager, session_id) == kept
    assert stored_pins(raw, namespace, session_id) == {ids[turn] for turn in pinned}
    assert await manager.prune_checkpoints(**where, **policy) == 0


async def test_what_is_unpinned_is_pruned_next_time(manager: SessionManager) -> None:
    session_id, ids = await _pinned_turns(manager, 5, [0, 1])
    assert await manager.prune_checkpoints(keep_last=1) == 2
    assert await manager.unpin_checkpoint(session_id, ids[0])
    assert await manager.prune_checkpoints(keep_last=1) == 1
    assert await turns(manager, session_id) == [1, 4]


@pytest.mark.parametrize("every", [1, 2, 7])
async def test_hundreds_of_pins_among_thousands_of_checkpoints_are_kept(
    manager: SessionManager, raw: redis.Redis, namespace: str, every: int
) -> None:
    session = await manager.create_session("ann", "bot")
    session_id, count, pins = session.session_id, 4_000, 500
    pinned = set(range(0, every * pins, every))
    ids: list[str] = []
    for first in range(0, count, 200):  # of more than leave as one batch, the order is not kept
        some = range(first, first + 200)
        saves = [manager.save_checkpoint(session_id, {"turn": turn}, pin=turn in pinned) for turn in some]
        ids += await asyncio.gather(*saves)
    progress = await manager.jobs.run(await open_pruning(manager, session_id=session_id, keep_last=10))
    assert progress.removed == count - 10 - pins
    assert await turns(manager, session_id) == sorted(pinned | set(range(count - 10, count)))
    assert await manager.pinned_checkpoints(session_id) == [ids[turn] for turn in sorted(pinned)]
    assert stored_pins(raw, namespace, session_id) == {ids[turn] for turn in pinned}
    assert await manager.clear_checkpoints(session_id) == pins + 10
    assert stored_pins(raw, namespace, session_id) == set()


async def test_pins_and_unpins_at_once_are_counted_right(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    managers = [open_manager(), open_manager()]
    session_id, ids = await _pinned_turns(managers[0], 40, list(range(0, 40, 2)))
    calls = [
        change(session_id, each)
        for n, each in enumerate(ids)
        for change in (managers[n % 2].pin_checkpoint, managers[n % 2 - 1].pin_checkpoint)
    ]
    calls += [managers[n % 2].delete_checkpoint(session_id, each) for n, each in enumerate(ids[:10])]
    calls += [each.prune_checkpoints(keep_last=5) for each in managers]  # type: ignore[misc]
    await asyncio.gather(*calls)
    assert set(await managers[0].pinned_checkpoints(session_id)) == stored_pins(raw, namespace, session_id)


@pytest.mark.parametrize("pin", [None, 0, 1, "yes", "", [True]])
async def test_a_pin_that_is_neither_true_nor_false_is_refused(
    manager: SessionManager, raw: redis.Redis, namespace: str, pin: Any
) -> None:
    session = await manager.create_session("ann", "bot")
    before = snapshot(raw, namespace)
    with pytest.raises(InvalidArgumentError, match=r"^pin must be True or False"):
        await manager.save_checkpoint(session.session_id, {}, pin=pin)
    assert snapshot(raw, namespace) == before


@pytest.mark.parametrize("cls", [fakeredis.FakeRedis, fakeredis.FakeAsyncRedis])
async def test_pins_are_kept_in_a_fake(open_manager: Opener, cls: type) -> None:
    manager = open_manager(conn=cls())
    session_id, ids = await _pinned_turns(manager, 6, [3, 0])
    assert await manager.pinned_checkpoints(session_id) == [ids[0], ids[3]]
    assert await manager.prune_checkpoints(keep_last=1) == 3
    assert await turns(manager, session_id) == [0, 3, 5]
    assert await manager.unpin_checkpoint(session_id, ids[0])
    assert await manager.delete_checkpoint(session_id, ids[3])
    assert await manager.pinned_checkpoints(session_id) == []
    assert await manager.clear_checkpoints(session_id) == 2
