"""Taking a job back before it has begun: everything is as if it had not been asked for."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis

from agent_runtime.manager import InvalidArgumentError, Session, SessionManager
from agent_runtime.manager.jobs import JobProgress, JobState, JobStateError
from tests.support.jobs import make_due, open_sweep
from tests.support.keyspace import snapshot
from tests.support.leftovers import server_ms
from tests.support.sessions import create_sessions, let_expire, run_out_long_ago, save_turns, turns

Opener = Callable[..., SessionManager]

PARTITIONS = pytest.mark.parametrize("partitions", [1, 4])


async def _undo(manager: SessionManager, job_id: str) -> JobProgress:
    await manager.jobs.control(job_id, "undo")
    return await manager.jobs.run(job_id)


async def _vanish(raw: redis.Redis, manager: SessionManager, session: Session) -> None:
    """Let a revoked session expire: its keys go, and the sweep removes its entries in the indexes."""
    run_out_long_ago(manager, raw, session)
    assert await manager.cleanup_expired_sessions() == 1


@pytest.mark.parametrize("grace", [3_600, 3_600.0, timedelta(hours=1)])
async def test_a_job_with_a_grace_waits_for_its_end(
    manager: SessionManager, raw: redis.Redis, grace: Any
) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=grace)
    assert await manager.get_sessions_by_user("ann") == []

    waiting = await manager.jobs.run(job_id)
    assert (waiting.state, waiting.total, waiting.done) == (JobState.SCHEDULED, 3, 0)
    assert waiting.due_at == waiting.requested_at + timedelta(hours=1)
    assert waiting.started_at is None
    assert await manager.jobs.take_stalled() == []

    await make_due(manager, raw, job_id)
    assert await manager.jobs.take_stalled() == [job_id]
    assert (await manager.jobs.run(job_id)).removed == 3


async def test_the_lifeline_takes_a_job_up_when_its_grace_is_over(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(stalled_after_seconds=30)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=0.2)
    due_at = (await manager.jobs.progress(job_id)).due_at
    assert due_at is not None
    due_ms = round(due_at.timestamp() * 1000)
    taken: list[str] = []
    while not taken:
        asked_ms = server_ms(raw)
        taken = await manager.jobs.take_stalled()
        assert taken or asked_ms <= due_ms, "it was due and not taken up"
    assert server_ms(raw) >= due_ms
    assert taken == [job_id]
    assert (await manager.jobs.run(job_id)).removed == 3


async def test_without_a_grace_nothing_is_said_of_one(manager: SessionManager) -> None:
    await create_sessions(manager, 1)
    job_id = await manager.revoke_user_sessions("ann")
    progress = await manager.jobs.progress(job_id)
    assert (progress.state, progress.due_at) == (JobState.QUEUED, None)
    await manager.jobs.run(job_id)


@pytest.mark.parametrize("grace", [-1, -0.001, True, "60", float("nan"), 1e12, timedelta(days=-1)])
async def test_a_grace_that_is_none_is_refused(
    manager: SessionManager, raw: redis.Redis, namespace: str, grace: Any
) -> None:
    await create_sessions(manager, 1)
    before = snapshot(raw, namespace)
    with pytest.raises(InvalidArgumentError, match="grace must be from 0 to 100000000000 seconds"):
        await manager.revoke_user_sessions("ann", grace=grace)
    assert snapshot(raw, namespace) == before


async def test_the_longest_grace_can_be_paused_and_resumed(manager: SessionManager) -> None:
    await create_sessions(manager, 2)
    job_id = await manager.revoke_user_sessions("ann", grace=100_000_000_000)
    await manager.jobs.control(job_id, "pause")
    resumed = await manager.jobs.control(job_id, "resume")
    assert resumed.state is JobState.SCHEDULED
    assert resumed.due_at is not None
    assert resumed.due_at.year > 5_000
    assert (await _undo(manager, job_id)).restored == 2


@PARTITIONS
@pytest.mark.parametrize("of", ["user", "agent"])
async def test_an_undo_brings_everything_back(
    open_manager: Opener, raw: redis.Redis, namespace: str, partitions: int, of: str
) -> None:
    manager = open_manager(partitions=partitions)
    users = ["ann"] if of == "user" else [f"user_{number}" for number in range(8)]
    for user in users:
        for session in await create_sessions(manager, 3, user):
            ids = await save_turns(manager, session.session_id, 3)
            await manager.pin_checkpoint(session.session_id, ids[0])
            await manager.update_session_metadata(session.session_id, {"of": user})
    before = snapshot(raw, namespace)
    listed = [await manager.get_sessions_by_user(user) for user in users]
    by_agent = await manager.get_sessions_by_agent("bot")
    revoke = {"user": manager.revoke_user_sessions, "agent": manager.revoke_agent_sessions}[of]
    job_id = await revoke({"user": "ann", "agent": "bot"}[of], grace=3_600)
    assert await manager.get_active_session_count() == 0

    undone = await _undo(manager, job_id)

    count = 3 * len(users)
    assert (undone.state, undone.restored, undone.removed) == (JobState.UNDONE, count, 0)
    assert (undone.receipt, undone.started_at) == (None, None)
    assert undone.finished_at is not None
    assert [await manager.get_sessions_by_user(user) for user in users] == listed
    assert await manager.get_sessions_by_agent("bot") == by_agent
    assert await manager.get_active_session_count() == count
    assert await manager.get_active_session_count(users[0]) == 3
    after = snapshot(raw, namespace)
    assert {key: after[key] for key in before} == before
    assert {key.split(b":")[2] for key in after.keys() - before.keys()} == {b"job", b"history"}


@PARTITIONS
async def test_sessions_created_meanwhile_stay_beside_those_that_come_back(
    open_manager: Opener, partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    old = [each for user in range(5) for each in await create_sessions(manager, 2, f"user_{user}")]
    job_id = await manager.revoke_agent_sessions("bot", grace=3_600)
    new = [each for user in range(5) for each in await create_sessions(manager, 1, f"user_{user}")]
    assert (await _undo(manager, job_id)).restored == 10
    found = {each.session_id for each in await manager.get_sessions_by_agent("bot")}
    assert found == {each.session_id for each in old + new}


async def test_sessions_that_ran_out_meanwhile_stay_gone(manager: SessionManager, raw: redis.Redis) -> None:
    gone, *kept = await create_sessions(manager, 4)
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    await _vanish(raw, manager, gone)
    undone = await _undo(manager, job_id)
    assert (undone.total, undone.restored) == (4, 3)
    found = {each.session_id for each in await manager.get_sessions_by_user("ann")}
    assert found == {each.session_id for each in kept}
    assert raw.zcard(manager._context.partitions.home.user_index("ann")) == 3


async def test_what_an_overlapping_deletion_reclaimed_meanwhile_stays_gone(
    manager: SessionManager, raw: redis.Redis
) -> None:
    await create_sessions(manager, 3, "ann", "bot")
    kept = await create_sessions(manager, 2, "ann", "other")
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    assert await manager.delete_agent_sessions("bot") == 3
    undone = await _undo(manager, job_id)
    assert (undone.total, undone.restored) == (5, 2)
    found = {each.session_id for each in await manager.get_sessions_by_user("ann")}
    assert found == {each.session_id for each in kept}
    assert await manager.get_active_session_count() == 2


async def test_what_an_overlapping_deletion_has_revoked_stays_revoked(manager: SessionManager) -> None:
    await create_sessions(manager, 3, "ann", "bot")
    of_user = await manager.revoke_user_sessions("ann", grace=3_600)
    of_agent = await manager.revoke_agent_sessions("bot", grace=3_600)
    assert (await _undo(manager, of_user)).restored == 3
    assert await manager.get_sessions_by_user("ann") == []
    assert await manager.get_active_session_count() == 0
    assert (await _undo(manager, of_agent)).restored == 3
    assert len(await manager.get_sessions_by_user("ann")) == 3
    assert await manager.get_active_session_count() == 3


async def test_a_big_undo_takes_many_slices_and_can_be_shared(open_manager: Opener) -> None:
    managers = [open_manager(partitions=4, slice_seconds=0.001, batch_target_ms=0.001) for _ in range(2)]
    for user in range(10):
        await create_sessions(managers[0], 150, f"user_{user}")
    job_id = await managers[0].revoke_agent_sessions("bot", grace=3_600)
    await managers[0].jobs.control(job_id, "undo")
    first = await managers[0].jobs.run_slice(job_id)
    assert first.state is JobState.UNDOING
    assert 0 < first.restored < 1_500
    undone = await asyncio.gather(*(manager.jobs.run(job_id) for manager in managers))
    assert [each.restored for each in undone] == [1_500, 1_500]
    assert await managers[0].get_active_session_count() == 1_500


@PARTITIONS
async def test_an_undo_whose_caller_died_half_way_is_completed_by_the_lifeline(
    open_manager: Opener, raw: redis.Redis, partitions: int
) -> None:
    manager = open_manager(partitions=partitions, slice_seconds=0.001, batch_target_ms=0.001)
    for user in range(8):
        await create_sessions(manager, 50, f"user_{user}")
    job_id = await manager.revoke_agent_sessions("bot", grace=3_600)
    await manager.jobs.control(job_id, "undo")
    await manager.jobs.run_slice(job_id)
    home = (await manager.jobs.read(job_id)).home.keys
    raw.zadd(home.jobs, {job_id: 1}, xx=True)

    assert await manager.jobs.take_stalled() == [job_id]
    assert (await manager.jobs.run(job_id)).restored == 400
    assert await manager.get_active_session_count() == 400


async def test_a_job_that_has_begun_cannot_be_undone(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    await make_due(manager, raw, job_id)
    assert (await manager.jobs.run(job_id)).removed == 3
    before = snapshot(raw, namespace)
    with pytest.raises(JobStateError, match="is done and has begun: only a job that has not begun"):
        await manager.jobs.control(job_id, "undo")
    assert snapshot(raw, namespace) == before


@pytest.mark.parametrize("action", ["pause", "cancel"])
async def test_a_job_stopped_in_its_grace_can_be_undone(manager: SessionManager, action: str) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    await manager.jobs.control(job_id, action)
    assert await manager.get_sessions_by_user("ann") == []
    undone = await _undo(manager, job_id)
    assert (undone.state, undone.restored) == (JobState.UNDONE, 3)
    assert len(await manager.get_sessions_by_user("ann")) == 3


async def test_what_several_requests_revoked_comes_back_together(manager: SessionManager) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    await create_sessions(manager, 2)
    assert await manager.revoke_user_sessions("ann", grace=3_600) == job_id
    assert (await _undo(manager, job_id)).restored == 5
    assert len(await manager.get_sessions_by_user("ann")) == 5


@pytest.mark.parametrize("kind", ["sweep", "pruning"])
async def test_a_sweep_or_a_pruning_that_waits_is_only_called_off(
    open_manager: Opener, raw: redis.Redis, kind: str
) -> None:
    manager = open_manager(partitions=2)
    expired, live = await create_sessions(manager, 2)
    await save_turns(manager, live.session_id, 3)
    await let_expire(manager, expired)
    if kind == "sweep":
        job_id = await open_sweep(manager)
    else:
        opened = await manager.jobs.open(manager.jobs.pruning(keep_last=1))
        job_id = opened.job_id
    undone = await _undo(manager, job_id)
    assert (undone.state, undone.removed, undone.restored) == (JobState.UNDONE, 0, 0)
    assert await turns(manager, live.session_id) == [0, 1, 2]
    assert await manager.cleanup_expired_sessions() == 1


@PARTITIONS
async def test_a_deletion_asked_for_while_the_same_is_undone_is_refused(
    open_manager: Opener, raw: redis.Redis, namespace: str, partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_agent_sessions("bot", grace=3_600)
    await manager.jobs.control(job_id, "undo")
    before = snapshot(raw, namespace)
    with pytest.raises(JobStateError, match=rf"job '{job_id}' on the same target is being undone"):
        await manager.revoke_agent_sessions("bot")
    assert snapshot(raw, namespace) == before
    await manager.jobs.run(job_id)
    assert await manager.delete_agent_sessions("bot") == 3


async def test_an_undone_job_can_be_asked_for_again(manager: SessionManager) -> None:
    await create_sessions(manager, 3)
    first = await manager.revoke_user_sessions("ann", grace=3_600)
    await _undo(manager, first)
    second = await manager.revoke_user_sessions("ann", grace=3_600)
    assert second != first
    assert (await manager.jobs.progress(second)).total == 3
    assert (await _undo(manager, second)).restored == 3
