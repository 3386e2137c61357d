"""The sweep counts each expired session once, whoever sweeps, and touches no other."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.scripts.batches import BatchReply
from tests.support.jobs import open_sweep
from tests.support.sessions import create_sessions, let_expire, run_out_long_ago, save_turns
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]


@pytest.mark.parametrize("partitions", [1, 4])
async def test_every_expired_session_is_counted_once_by_two_sweeps_at_once(
    open_manager: Opener, partitions: int
) -> None:
    managers = [open_manager(partitions=partitions) for _ in range(2)]
    hasty = open_manager(partitions=partitions, ttl=0.02)
    for user in range(10):
        await create_sessions(hasty, 120, f"user_{user}")
    kept = await create_sessions(managers[0], 5, "user_3")
    last = await create_sessions(hasty, 1, "last")
    await let_expire(managers[0], *last)
    swept = await asyncio.gather(*(manager.cleanup_expired_sessions() for manager in managers))
    assert sum(swept) == 1201
    assert await managers[1].cleanup_expired_sessions() == 0
    assert await managers[0].get_active_session_count() == 5
    assert len(await managers[0].get_sessions_by_user("user_3")) == len(kept)


async def test_a_sweep_leaves_no_trace_of_what_expired(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    sessions = await create_sessions(manager, 3)
    await save_turns(manager, sessions[0].session_id, 3)
    await let_expire(manager, *sessions)
    assert raw.zcard(f"{namespace}:{{0}}:x") == 3
    assert await manager.cleanup_expired_sessions() == 3
    assert {key.split(b":")[2] for key in raw.scan_iter(match=f"{namespace}:*")} == {
        b"job",
        b"history",
        b"layout",
    }


async def test_the_expiry_index_outlives_its_members_by_a_day(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    [session] = await create_sessions(manager, 1)
    await let_expire(manager, session)
    day_ms = 86_400_000
    assert raw.pttl(f"{namespace}:{{0}}:x") > day_ms


async def test_a_refreshed_session_is_not_swept_at_its_old_time(manager: SessionManager) -> None:
    expired, refreshed = await create_sessions(manager, 2)
    await let_expire(manager, expired)
    await manager.refresh_session(refreshed.session_id)
    assert await manager.cleanup_expired_sessions() == 1
    assert await manager.session_exists(refreshed.session_id)


async def test_a_session_of_a_changed_agent_is_swept_once(manager: SessionManager) -> None:
    [session] = await create_sessions(manager, 1)
    await manager.update_session(session.session_id, agent_id="other")
    await let_expire(manager, session)
    assert await manager.cleanup_expired_sessions() == 1


async def test_revoked_sessions_that_expire_before_they_are_reclaimed_are_counted_by_the_sweep_alone(
    manager: SessionManager, open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    sessions = await create_sessions(open_manager(ttl=0.3), 3)
    job_id = await manager.revoke_user_sessions("ann")
    hashes = [f"{namespace}:{{0}}:s:{session.session_id}" for session in sessions]
    await wait_until(lambda: not raw.exists(*hashes), description="the sessions ran out")
    assert await manager.cleanup_expired_sessions() == len(sessions)
    progress = await manager.jobs.run(job_id)
    assert progress.finished
    assert progress.removed == 0


async def test_a_sweep_of_revoked_sessions_leaves_what_came_after_them(
    manager: SessionManager,
) -> None:
    old = await create_sessions(manager, 3)
    await let_expire(manager, *old)
    job_id = await manager.revoke_user_sessions("ann")
    new = await create_sessions(manager, 3)
    assert await manager.cleanup_expired_sessions() == len(old)
    assert all([await manager.session_exists(session.session_id) for session in new])
    assert (await manager.jobs.run(job_id)).removed == 0


async def test_a_sweep_stops_anywhere_among_sessions_that_expired_at_one_moment(
    manager: SessionManager, raw: redis.Redis
) -> None:
    kept = await create_sessions(manager, 2, "user_0", "agent_0")
    for number in range(12):
        [session] = await create_sessions(manager, 1, f"user_{number % 2}", f"agent_{number % 3}")
        run_out_long_ago(manager, raw, session)
    assert await manager.get_active_session_count() == len(kept)
    job = await manager.jobs.read(await open_sweep(manager))
    batch = partial(job.spec.batch, manager._context.client, job.home.keys, job.job_id)
    reply, left = BatchReply.MORE, 12
    while reply is BatchReply.MORE:
        reply, left = await batch(5), max(0, left - 5)
        for owners in (("u:user_0", "u:user_1"), ("a:agent_0", "a:agent_1", "a:agent_2")):
            listed = sum(raw.zcard(job.home.keys.prefix + name.encode()) for name in owners)
            assert listed == left + len(kept)
    assert (await manager.jobs.run(job.job_id)).removed == 12


async def test_an_index_with_a_wrong_score_loses_nothing_that_lives(
    manager: SessionManager, raw: redis.Redis
) -> None:
    expired, kept = await create_sessions(manager, 2)
    raw.zadd(manager._context.partitions.home.user_index("ann"), {kept.session_id: 1})
    await let_expire(manager, expired)
    assert await manager.cleanup_expired_sessions() == 1
    assert await manager.session_exists(kept.session_id)


async def test_nothing_due_sweeps_nothing(manager: SessionManager) -> None:
    await create_sessions(manager, 3)
    assert await manager.cleanup_expired_sessions() == 0
    assert await manager.get_active_session_count() == 3


async def test_a_session_that_ends_in_this_millisecond_is_counted_once(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    """Redis still has its hash then, and a sweep and a deletion of its user each saw it."""
    ending, other = await create_sessions(manager, 2)
    job_id = await manager.revoke_user_sessions("ann")
    prefix, now_ms = f"{namespace}:{{0}}:", raw.time()[0] * 1000
    raw.hset(f"{prefix}s:{ending.session_id}", "expires", now_ms)
    [member] = [
        each for each in raw.zrange(f"{prefix}x", 0, -1) if each.startswith(ending.session_id.encode())
    ]
    raw.zadd(f"{prefix}x", {member: now_ms})
    assert await manager.cleanup_expired_sessions() == 1
    assert (await manager.jobs.run(job_id)).removed == 1
    assert not raw.exists(f"{prefix}s:{other.session_id}")
    raw.delete(f"{prefix}s:{ending.session_id}")
