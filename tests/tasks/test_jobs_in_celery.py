"""Celery's view of a job: its result, its progress, its slices."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.jobs import JobCancelledError, JobState
from agent_runtime.tasks import Job, SessionJobs
from agent_runtime.tasks.celery_config import celery_config
from tests.support.jobs import finished
from tests.support.processes import CeleryProcess, celery_worker, run_program
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until

_SESSIONS = 10_000


@pytest.fixture(scope="module")
def worker_settings(server: RedisServer) -> dict[str, object]:
    """Slow enough to be watched: batches never grow beyond their smallest."""
    return {
        "redis_url": server.url(),
        "namespace": "celery-users",
        "slice_seconds": 0.05,
        "batch_target_ms": 0.001,
        "partitions": 4,
        "max_sessions": 100_000,
    }


@pytest.fixture(scope="module")
def worker(worker_settings: dict[str, object]) -> Iterator[CeleryProcess]:
    with celery_worker(**worker_settings) as running:
        yield running


@pytest.fixture
async def big_job(manager: SessionManager, jobs: SessionJobs, worker: CeleryProcess) -> AsyncIterator[Job]:
    """It begins when the test thaws the worker: once it was over before the test looked."""
    for user in range(20):
        await create_sessions(manager, _SESSIONS // 20, f"user_{user}")
    worker.freeze()
    try:
        yield await jobs.delete_agent_sessions("bot")
    finally:
        worker.thaw()


@pytest.fixture
async def result(worker_settings: dict[str, Any], big_job: Job) -> AsyncIterator[AsyncResult[Any]]:
    """The job's Celery task, as another program sees it."""
    settings = Settings(**worker_settings)
    app = Celery(set_as_current=False)
    app.conf.update(celery_config(settings))
    yield AsyncResult(big_job.id, app=app)
    app.close()


async def get(result: "AsyncResult[Any]") -> Any:
    return await asyncio.to_thread(result.get, timeout=40)


async def until_begun(job: Job) -> None:
    async def begun() -> bool:
        progress = await job.progress()
        assert not progress.state.ended, "too fast to be watched"
        return progress.done > 0

    await wait_until(begun, description="the job to have begun")


async def test_the_result_tells_how_far_the_job_is(
    big_job: Job, result: "AsyncResult[Any]", worker: CeleryProcess
) -> None:
    def shown() -> Any:
        told = result.backend.get_task_meta(result.id)  # both at one moment
        return told["status"] == "PROGRESS" and told["result"]["done"] > 0 and told["result"]

    worker.thaw()
    shown = await wait_until(shown, description="progress to be shown")
    assert shown["job_id"] == big_job.id
    assert shown["done"] <= shown["total"] == _SESSIONS
    assert shown["rate_per_second"] > 0
    assert await get(result) == _SESSIONS
    assert (await finished(big_job)).removed == _SESSIONS


async def test_a_paused_job_keeps_its_callers_waiting_until_it_is_resumed(
    big_job: Job, result: "AsyncResult[Any]", worker: CeleryProcess
) -> None:
    worker.thaw()
    await until_begun(big_job)
    paused = await big_job.pause()
    assert paused.state is JobState.PAUSED
    await wait_until(lambda: result.state == "PAUSED", description="Celery to show the pause")
    assert (await big_job.progress()).done < _SESSIONS
    await big_job.resume()
    assert await get(result) == _SESSIONS


async def test_a_cancelled_job_is_a_revoked_task(
    big_job: Job, result: "AsyncResult[Any]", worker: CeleryProcess
) -> None:
    worker.thaw()
    await until_begun(big_job)
    cancelled = await big_job.cancel()
    assert cancelled.state is JobState.CANCELLED
    with pytest.raises(TaskRevokedError):
        await get(result)
    with pytest.raises(JobCancelledError):
        await finished(big_job)
    await big_job.resume()
    assert (await finished(big_job)).removed == _SESSIONS


async def test_the_parts_of_a_job_are_worked_on_by_several_workers(
    big_job: Job, worker: CeleryProcess
) -> None:
    worker.thaw()
    await finished(big_job)
    for shard in ("", ":1", ":2", ":3"):
        assert f"tasks.run_job[{big_job.id}{shard}] received" in worker.log()


async def test_a_small_job_need_not_wait_for_large_ones(
    manager: SessionManager, jobs: SessionJobs, worker: CeleryProcess
) -> None:
    large = _SESSIONS  # many slices: with fewer sessions both ended in the same millisecond once
    for user in range(20):
        await create_sessions(manager, large // 20, f"user_{user}")
    await create_sessions(manager, 10, "tiny", "another bot")
    worker.freeze()  # until both wait, in this order
    try:
        big_job = await jobs.delete_agent_sessions("bot")
        small = await jobs.delete_user_sessions("tiny")
    finally:
        worker.thaw()
    small_end, big_end = await finished(small), await finished(big_job)
    assert (small_end.removed, big_end.removed) == (10, large)
    assert big_end.requested_at < small_end.requested_at
    assert small_end.finished_at < big_end.finished_at


async def test_an_entry_task_takes_the_options_of_a_job(
    manager: SessionManager, jobs: SessionJobs, worker_settings: dict[str, Any]
) -> None:
    [session] = await create_sessions(manager, 1)
    send = """
import json, tasks
options = {"grace": 3600, "reason": "asked", "requested_by": "desk"}
print(json.dumps(tasks.delete_user_sessions.apply_async(["ann"], options).id))
"""
    job = jobs.get(await asyncio.to_thread(run_program, send, **worker_settings))

    async def is_revoked() -> bool:
        return not await manager.session_exists(session.session_id)

    await wait_until(is_revoked, description="the session to be revoked")
    progress = await job.progress()
    assert (progress.state, progress.reason, progress.requested_by) == (JobState.SCHEDULED, "asked", "desk")
    assert (await job.undo()).state is JobState.UNDONE
    assert await manager.get_session(session.session_id) == session


async def test_a_job_whose_grace_is_over_is_begun_by_the_lifeline(
    manager: SessionManager, jobs: SessionJobs, worker_settings: dict[str, Any]
) -> None:
    await create_sessions(manager, 3)
    job = await jobs.delete_user_sessions("ann", grace=0.001)
    rescue = "import tasks; print(tasks.resume_stalled_jobs())"

    async def is_published() -> bool:
        return bool(
            await asyncio.to_thread(run_program, rescue, **worker_settings) or (await job.progress()).done
        )

    await wait_until(is_published, description="the job to be due")
    assert (await finished(job)).removed == 3


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("max_affected=2", "3 would go, more than max_affected=2"),
        ("grace=-1", "grace must be from 0"),
        ("reasn='typo'", "unknown option reasn"),
    ],
)
async def test_an_entry_task_that_is_refused_changes_nothing_and_says_why(
    manager: SessionManager, worker: CeleryProcess, worker_settings: dict[str, Any], options: str, error: str
) -> None:
    await create_sessions(manager, 3)
    send = f"""
import json, tasks
result = tasks.delete_user_sessions.apply_async(["ann"], dict({options}))
result.get(timeout=600, propagate=False)
print(json.dumps([result.state, str(result.result)]))
"""
    state, message = await asyncio.to_thread(run_program, send, **worker_settings)
    assert state == "FAILURE"
    assert error in message
    assert len(await manager.get_sessions_by_user("ann")) == 3


async def test_a_key_that_is_used_again_finds_the_same_job(
    manager: SessionManager, jobs: SessionJobs, worker_settings: dict[str, Any]
) -> None:
    await create_sessions(manager, 3)
    job = await jobs.delete_user_sessions("ann", idempotency_key="request 7")
    await finished(job)
    await create_sessions(manager, 2)
    send = """
import json, tasks
result = tasks.delete_user_sessions.delay("ann", idempotency_key="request 7")
print(json.dumps(result.get(timeout=600)))
"""
    assert await asyncio.to_thread(run_program, send, **worker_settings) == 3
    assert (await jobs.delete_user_sessions("ann", idempotency_key="request 7")).id == job.id
    assert len(await manager.get_sessions_by_user("ann")) == 2
