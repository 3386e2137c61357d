"""Pausing, resuming and cancelling a job, in every state that it can be in."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobNotFoundError, JobState, JobStateError
from agent_runtime.manager.scripts.batches import BatchReply
from tests.support.jobs import make_due, open_pruning, open_sweep
from tests.support.keyspace import snapshot
from tests.support.sessions import create_sessions, let_expire, save_turns
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]

PARTITIONS = pytest.mark.parametrize("partitions", [1, 4])

#: Whether a job in this state may be told so; what it is then.
ALLOWED = {
    "scheduled": {"pause": "paused", "resume": "scheduled", "cancel": "cancelled", "undo": "undoing"},
    "queued": {"pause": "paused", "resume": "queued", "cancel": "cancelled", "undo": "undoing"},
    "running": {"pause": "paused", "resume": "running", "cancel": "cancelled"},
    "paused": {"pause": "paused", "resume": "queued", "cancel": "cancelled", "undo": "undoing"},
    "paused in its grace": {
        "pause": "paused",
        "resume": "scheduled",
        "cancel": "cancelled",
        "undo": "undoing",
    },
    "paused at work": {"pause": "paused", "resume": "queued", "cancel": "cancelled"},
    "cancelled": {"resume": "queued", "cancel": "cancelled", "undo": "undoing"},
    "cancelled at work": {"resume": "queued", "cancel": "cancelled"},
    "failed": {"resume": "queued"},
    "undoing": {"undo": "undoing"},
    "undone": {"undo": "undone"},
    "done": {},
}


async def _bring_into(manager: SessionManager, raw: redis.Redis, state: str) -> str:
    """Return the id of a deletion in this state, with one batch done if it has begun."""
    jobs = manager.jobs
    grace = 3_600 if state in ("scheduled", "paused in its grace") else 0
    job_id = await manager.revoke_user_sessions("ann", grace=grace)
    home = (await jobs.read(job_id)).home.keys
    if state in ("running", "failed") or state.endswith("at work"):
        await manager.jobs.run_slice(job_id)
    if state.startswith("paused"):
        await jobs.control(job_id, "pause")
    elif state.startswith("cancelled"):
        await jobs.control(job_id, "cancel")
    elif state.startswith("und"):
        await jobs.control(job_id, "undo")
    if state in ("undone", "done"):
        await manager.jobs.run(job_id)
    if state == "failed":  # how that comes about is said in test_failing_jobs.py
        raw.hset(home.job(job_id), mapping={"state": "failed", "error": "why"})
        raw.zrem(home.jobs, job_id)
    return job_id


@pytest.fixture
async def slow(open_manager: Opener) -> SessionManager:
    """A manager whose slices are one small batch, with sessions of ann for several."""
    manager = open_manager(slice_seconds=0.001, batch_target_ms=0.001)
    await create_sessions(manager, 120)  # the first batch takes 100
    return manager


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "undo"])
@pytest.mark.parametrize("state", ALLOWED)
async def test_a_job_does_what_its_state_allows_and_is_otherwise_left_alone(
    slow: SessionManager, raw: redis.Redis, namespace: str, state: str, action: str
) -> None:
    job_id = await _bring_into(slow, raw, state)
    assert (await slow.jobs.progress(job_id)).state == state.split()[0]
    before = snapshot(raw, namespace)
    allowed = ALLOWED[state].get(action)

    if allowed is None:
        with pytest.raises(JobStateError, match=rf"job '{job_id}' is {state.split()[0]}"):
            await slow.jobs.control(job_id, action)
        assert snapshot(raw, namespace) == before
        return
    progress = await slow.jobs.control(job_id, action)
    assert progress.state == allowed
    once = snapshot(raw, namespace)
    assert (once == before) == (allowed == state.split()[0])
    assert await slow.jobs.control(job_id, action) == progress
    assert snapshot(raw, namespace) == once
    assert await slow.get_sessions_by_user("ann") == [] or state == "undone"


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "undo"])
async def test_a_job_that_never_was_cannot_be_told_anything(manager: SessionManager, action: str) -> None:
    with pytest.raises(JobNotFoundError, match="job_unknown"):
        await manager.jobs.control("job_unknown", action)


async def _open(manager: SessionManager, kind: str) -> str:
    """Id of a job over every partition, with 80 sessions, or 160 checkpoints, to remove."""
    sessions = [each for user in range(8) for each in await create_sessions(manager, 10, f"user_{user}")]
    if kind == "deletion":
        return await manager.revoke_agent_sessions("bot")
    if kind == "sweep":
        await let_expire(manager, *sessions)
        return await open_sweep(manager, join=True)
    for session in sessions:
        await save_turns(manager, session.session_id, 3)
    return await open_pruning(manager, join=True, keep_last=1)


@PARTITIONS
@pytest.mark.parametrize("action", ["pause", "cancel"])
@pytest.mark.parametrize("kind", ["deletion", "sweep", "pruning"])
async def test_a_job_that_is_stopped_and_resumed_ends_with_the_exact_count(
    open_manager: Opener, partitions: int, kind: str, action: str
) -> None:
    manager = open_manager(partitions=partitions)
    job_id = await _open(manager, kind)
    for _ in range(3):
        stopped = await manager.jobs.control(job_id, action)
        assert await manager.jobs.run(job_id) == stopped
        await manager.jobs.control(job_id, "resume")
        job = await manager.jobs.read(job_id)
        for part in job.parts:
            await job.spec.batch(manager._context.client, part.keys, job_id, 5)
    done = await manager.jobs.run(job_id)
    assert (done.state, done.total, done.done) == (JobState.DONE, 80, 80)
    assert done.removed == (160 if kind == "pruning" else 80)
    assert done.finished_at is not None


@PARTITIONS
@pytest.mark.parametrize("action", ["pause", "cancel"])
async def test_workers_stop_within_a_batch(open_manager: Opener, partitions: int, action: str) -> None:
    managers = [open_manager(partitions=partitions, batch_target_ms=0.001) for _ in range(3)]
    for user in range(8):
        await create_sessions(managers[0], 300, f"user_{user}")
    job_id = await managers[0].revoke_agent_sessions("bot")
    working = [asyncio.create_task(manager.jobs.run(job_id)) for manager in managers[:2]]

    async def begun() -> bool:
        return (await managers[2].jobs.progress(job_id)).done > 0

    await wait_until(begun, description="the job to have begun")
    await managers[2].jobs.control(job_id, action)

    for stopped in await asyncio.gather(*working):
        assert stopped.state == {"pause": "paused", "cancel": "cancelled"}[action]
    stopped = await managers[2].jobs.progress(job_id)
    assert 0 < stopped.done == stopped.removed < 2_400
    assert await managers[2].get_active_session_count() == 0
    await managers[2].jobs.control(job_id, "resume")
    await asyncio.gather(*(manager.jobs.run(job_id) for manager in managers))
    done = await managers[2].jobs.progress(job_id)
    assert (done.state, done.total, done.done, done.removed) == (JobState.DONE, 2_400, 2_400, 2_400)


async def test_a_batch_of_a_job_that_was_stopped_does_nothing(
    slow: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    job_id = await slow.revoke_user_sessions("ann")
    job = await slow.jobs.read(job_id)
    batch = partial(job.spec.batch, slow._context.client, job.home.keys, job_id)
    assert await batch(10) is BatchReply.MORE
    for action in ("pause", "cancel"):
        await slow.jobs.control(job_id, action)
        before = snapshot(raw, namespace)
        assert await batch(10) is BatchReply.HALTED
        assert snapshot(raw, namespace) == before


@pytest.mark.parametrize("action", ["pause", "cancel"])
async def test_a_job_that_was_stopped_is_not_requeued_until_it_is_resumed(
    open_manager: Opener, raw: redis.Redis, action: str
) -> None:
    manager = open_manager(stalled_after_seconds=0.001)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    await manager.jobs.control(job_id, action)
    home = (await manager.jobs.read(job_id)).home.keys
    assert raw.zscore(home.jobs, job_id) is None
    await manager.jobs.control(job_id, "resume")
    raw.zadd(home.jobs, {job_id: 1}, xx=True)
    assert await manager.jobs.take_stalled() == [job_id]
    assert (await manager.jobs.run(job_id)).removed == 3


async def test_a_job_paused_in_its_grace_waits_for_its_end_also_when_it_is_resumed(
    manager: SessionManager, raw: redis.Redis
) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    await manager.jobs.control(job_id, "pause")
    resumed = await manager.jobs.control(job_id, "resume")
    assert resumed.state is JobState.SCHEDULED
    assert (await manager.jobs.run(job_id)).state is JobState.SCHEDULED
    assert await manager.jobs.take_stalled() == []
    await make_due(manager, raw, job_id)
    assert await manager.jobs.take_stalled() == [job_id]
    assert (await manager.jobs.run(job_id)).removed == 3


async def test_the_time_of_the_end_is_that_of_the_last_end(slow: SessionManager) -> None:
    job_id = await slow.revoke_user_sessions("ann")
    cancelled = await slow.jobs.control(job_id, "cancel")
    assert cancelled.finished_at is not None
    assert (await slow.jobs.control(job_id, "resume")).finished_at is None
    done = await slow.jobs.run(job_id)
    assert done.finished_at is not None
    assert done.finished_at >= cancelled.finished_at


@PARTITIONS
async def test_a_job_can_be_stopped_by_the_id_of_a_request_that_joined_it(
    open_manager: Opener, partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_agent_sessions("bot", "first")
    assert await manager.revoke_agent_sessions("bot", "second") == job_id
    assert (await manager.jobs.control("second", "pause")).job_id == "first"
    assert (await manager.jobs.progress("first")).state is JobState.PAUSED
    await manager.jobs.control("second", "resume")
    assert (await manager.jobs.run("second")).removed == 3
