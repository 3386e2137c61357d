"""A job whose batches kill the processes that send them: it fails, and everything else goes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobState
from agent_runtime.tasks import Job, SessionJobs
from tests.support.cli import run_cli
from tests.support.jobs import finished
from tests.support.killing_proxy import KillingProxy
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until

_MOST_DEATHS = 3


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[KillingProxy]:
    async with KillingProxy(server.port) as running:
        yield running


@pytest.fixture
async def worker(
    proxy: KillingProxy, server: RedisServer, process_settings: dict[str, Any], beat: CeleryProcess
) -> AsyncIterator[CeleryProcess]:
    """A worker that reaches its store, but not its broker, through the proxy."""
    settings = {
        **process_settings,
        "redis_url": proxy.url(),
        "broker_url": server.url(1),
        "result_backend": server.url(2),
        "max_attempts": _MOST_DEATHS,
        # On a busy machine, half a second passes without any process's death.
        "stalled_after_seconds": 1,
    }
    with ExitStack() as running:
        # The proxy has to answer while the worker starts.
        yield await asyncio.to_thread(running.enter_context, celery_worker(**settings))


async def _until_failed(job: Job) -> str:
    async def failed() -> str | None:
        progress = await job.progress()
        assert progress.removed == 0
        return progress.error if progress.state is JobState.FAILED else None

    return str(await wait_until(failed, description="the job to fail", timeout=30))


async def test_a_job_that_kills_its_processes_fails_and_keeps_no_other_from_its_end(
    manager: SessionManager,
    process_settings: dict[str, Any],
    proxy: KillingProxy,
    worker: CeleryProcess,
) -> None:
    jobs = SessionJobs(manager)
    sessions = await create_sessions(manager, 50)
    deadly = jobs.get(await manager.revoke_user_sessions("ann"))
    proxy.kill_at_batches_of(deadly.id)
    started = time.monotonic()
    await deadly._publish()
    for number in range(5):
        await create_sessions(manager, 5, f"user_{number}")
        other = await jobs.delete_user_sessions(f"user_{number}")
        assert (await finished(other)).removed == 5

    error = await _until_failed(deadly)

    assert error.startswith(f"{_MOST_DEATHS} attempts in a row came to nothing: the process of the last one")
    assert "reclaiming sessions in partition 0, with 0 of 50 sessions done" in error
    deaths = len(proxy.killed)
    assert 0 < deaths <= _MOST_DEATHS
    # One attempt for each rescue of stalled jobs, rather than all at once.
    assert time.monotonic() - started > _MOST_DEATHS
    assert worker.running
    assert not any([await manager.session_exists(session.session_id) for session in sessions])
    shown = await asyncio.to_thread(
        run_cli, "jobs", "list", "--state", "failed", "--json", **process_settings
    )
    assert [(job["job_id"], job["error"]) for job in shown.document()["jobs"]] == [(deadly.id, error)]
    worker.wait_for(f"JobFailedError(\"job '{deadly.id}' has failed: {error}")  # for Celery and Flower

    proxy.spare()
    await asyncio.to_thread(run_cli, "jobs", "resume", deadly.id, **process_settings)
    done = await finished(deadly)
    assert (done.removed, done.error) == (50, None)
    assert done.receipt is not None
    assert done.receipt.residue.sessions == 0
    assert len(proxy.killed) == deaths


async def test_a_job_whose_processes_are_killed_here_and_there_is_done(
    manager: SessionManager, proxy: KillingProxy, worker: CeleryProcess
) -> None:
    await create_sessions(manager, 3_000)
    job = SessionJobs(manager).get(await manager.revoke_user_sessions("ann"))
    proxy.kill_at_batches_of(job.id, every=2, most=_MOST_DEATHS + 1)
    await job._publish()
    done = await finished(job)
    assert done.removed == 3_000
    assert len(proxy.killed) == _MOST_DEATHS + 1
    assert done.receipt is not None
    assert (done.receipt.sessions, done.receipt.residue.sessions) == (3_000, 0)
