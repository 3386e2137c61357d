"""Pruning removes the right checkpoints of the right sessions, and the newest of a session always stays."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobState
from tests.support.sessions import let_expire, save_turns, turns

HOUR_US = 3_600_000_000


async def _aged(
    manager: SessionManager, raw: redis.Redis, session_id: str, ages_hours: list[int]
) -> list[str]:
    """Ids of checkpoints of these ages, oldest first."""
    ids = await save_turns(manager, session_id, len(ages_hours))
    seconds, microseconds = raw.time()
    now_us = seconds * 1_000_000 + microseconds
    order = f"{manager.settings.namespace}:{{0}}:o:{session_id}"
    raw.zadd(order, {each: now_us - age * HOUR_US for each, age in zip(ids, ages_hours, strict=True)})
    return ids


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ({"keep_last": 2}, [4, 5]),
        ({"keep_last": 0}, [5]),
        ({"keep_last": 1}, [5]),
        ({"keep_last": 6}, [0, 1, 2, 3, 4, 5]),
        ({"keep_last": 100}, [0, 1, 2, 3, 4, 5]),
        ({"older_than": timedelta(hours=3, minutes=30)}, [2, 3, 4, 5]),
        ({"older_than": 5.5 * 3600}, [0, 1, 2, 3, 4, 5]),
        ({"older_than": 1}, [5]),
        ({"older_than": 0.001, "keep_last": 100}, [5]),
        ({"keep_last": 3, "older_than": 1.5 * 3600}, [4, 5]),
        ({"keep_last": 1, "older_than": 3.5 * 3600}, [5]),
    ],
)
@pytest.mark.parametrize("scope", ["session", "agent", "all"])
async def test_a_policy_removes_what_is_over_either_limit(
    manager: SessionManager, raw: redis.Redis, policy: dict[str, Any], kept: list[int], scope: str
) -> None:
    session = await manager.create_session("ann", "bot")
    await _aged(manager, raw, session.session_id, [5, 4, 3, 2, 1, 0])
    where = {"session": {"session_id": session.session_id}, "agent": {"agent_id": "bot"}, "all": {}}[scope]
    assert await manager.prune_checkpoints(**where, **policy) == 6 - len(kept)
    assert await turns(manager, session.session_id) == kept
    assert await manager.prune_checkpoints(**where, **policy) == 0


async def test_the_newest_stays_however_old_it_is(manager: SessionManager, raw: redis.Redis) -> None:
    session = await manager.create_session("ann", "bot")
    await _aged(manager, raw, session.session_id, [500, 400])
    assert await manager.prune_checkpoints(older_than=3600, keep_last=0) == 1
    assert await turns(manager, session.session_id) == [1]


@pytest.mark.parametrize("partitions", [1, 4])
async def test_scopes_leave_the_others_alone(
    open_manager: Callable[..., SessionManager], partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    places = [("ann", "bot"), ("ann", "other"), ("bob", "bot"), ("cid", "bot"), ("dan", "other")]
    sessions = [await manager.create_session(user, agent) for user, agent in places]
    for session in sessions:
        await save_turns(manager, session.session_id, 5)
    empty = await manager.create_session("eve", "bot")

    assert await manager.prune_checkpoints(session_id=sessions[0].session_id, keep_last=4) == 1
    assert await manager.prune_checkpoints(session_id=empty.session_id, keep_last=4) == 0
    assert await manager.prune_checkpoints(agent_id="bot", keep_last=3) == 1 + 2 + 2
    assert [len(await turns(manager, each.session_id)) for each in sessions] == [3, 5, 3, 3, 5]
    assert await manager.prune_checkpoints(keep_last=1) == 2 + 4 + 2 + 2 + 4
    assert [len(await turns(manager, each.session_id)) for each in sessions] == [1] * 5


async def test_the_latest_checkpoint_is_untouched_by_any_pruning(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 3)
    latest = await manager.get_latest_checkpoint(session.session_id)
    await manager.prune_checkpoints(keep_last=0)
    assert await manager.get_latest_checkpoint(session.session_id) == latest
    await save_turns(manager, session.session_id, 1)
    assert await turns(manager, session.session_id) == [2, 0]


@pytest.mark.parametrize("scope", ["session", "all"])
async def test_a_huge_session_is_pruned_in_many_batches(
    manager: SessionManager, raw: redis.Redis, namespace: str, scope: str
) -> None:
    huge, small = [await manager.create_session("ann", "bot") for _ in range(2)]
    _plant_checkpoints(raw, f"{namespace}:{{0}}:", huge.session_id, 12_000)
    await save_turns(manager, small.session_id, 3)
    where = {"session_id": huge.session_id} if scope == "session" else {}
    more = 0 if scope == "session" else 2
    assert await manager.prune_checkpoints(**where, keep_last=1) == 11_999 + more
    assert await turns(manager, huge.session_id) == [11_999]


async def test_many_sessions_are_pruned_over_many_batches(manager: SessionManager, raw: redis.Redis) -> None:
    sessions = [await manager.create_session(f"user_{number % 7}", "bot") for number in range(350)]
    for number, session in enumerate(sessions):
        _plant_checkpoints(raw, f"{manager.settings.namespace}:{{0}}:", session.session_id, 1 + number % 9)
    expected = sum(max(0, number % 9 - 1) for number in range(350))
    policy = manager.jobs.pruning(keep_last=2)
    progress = await manager.jobs.run((await manager.jobs.open(policy)).job_id)
    assert progress.removed == expected
    assert (progress.done, progress.total) == (350, 350)
    for number, session in enumerate(sessions):
        assert len(await turns(manager, session.session_id)) == min(2, 1 + number % 9)


async def test_two_prunings_at_once_remove_each_checkpoint_once(
    open_manager: Callable[..., SessionManager],
) -> None:
    managers = [open_manager(), open_manager()]
    for user in range(30):
        session = await managers[0].create_session(f"user_{user}", "bot")
        await save_turns(managers[0], session.session_id, 5)
    removed = await asyncio.gather(*(each.prune_checkpoints(keep_last=2) for each in managers))
    assert sum(removed) == 30 * 3


async def test_expired_sessions_are_passed_over(manager: SessionManager) -> None:
    expired, live = [await manager.create_session("ann", "bot") for _ in range(2)]
    for session in (expired, live):
        await save_turns(manager, session.session_id, 3)
    await let_expire(manager, expired)
    assert await manager.prune_checkpoints(keep_last=1) == 2


async def test_the_progress_of_a_pruning_counts_sessions_and_checkpoints(manager: SessionManager) -> None:
    for _ in range(3):
        session = await manager.create_session("ann", "bot")
        await save_turns(manager, session.session_id, 4)
    job_id = (await manager.jobs.open(manager.jobs.pruning(keep_last=1))).job_id
    queued = await manager.jobs.progress(job_id)
    assert (queued.state, queued.total, queued.done, queued.removed) == (JobState.QUEUED, 3, 0, 0)
    done = await manager.jobs.run(job_id)
    assert (done.state, done.total, done.done, done.removed) == (JobState.DONE, 3, 3, 9)


def _plant_checkpoints(raw: redis.Redis, prefix: str, session_id: str, count: int) -> None:
    """Writes checkpoints as they lie in Redis: thousands of calls would take too long."""
    ids = [f"ckpt_{turn:06}" for turn in range(count)]
    ttl_ms = raw.pttl(f"{prefix}s:{session_id}")
    pipeline = raw.pipeline(transaction=False)
    pipeline.hset(f"{prefix}c:{session_id}", mapping={each: f'j{{"turn":{n}}}' for n, each in enumerate(ids)})
    pipeline.zadd(f"{prefix}o:{session_id}", {each: 1_000_000 + n for n, each in enumerate(ids)})
    for kind in "co":
        pipeline.pexpire(f"{prefix}{kind}:{session_id}", ttl_ms)
    pipeline.execute()
