"""A job whose batches kill the processes that send them: it fails, and everything else goes on."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest

from manager import JobState, SessionManager
from tasks import Job, SessionJobs
from tests.support.cli import run_cli
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
    """One that reaches its store, but not its broker, through the proxy."""
    settings = {
        **process_settings,
        "redis_url": proxy.url(),
        "broker_url": server.url(1),
        "result_backend": server.url(2),
        "max_batch_failures": _MOST_DEATHS,
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
    server: RedisServer,
    process_settings: dict[str, Any],
    proxy: KillingProxy,
    worker: CeleryProcess,
) -> None:
    jobs = SessionJobs(manager)
    sessions = await create_sessions(manager, 50)
    deadly = jobs.get(await manager.revoke_user_sessions("ann"))
    proxy.kill_at_batches_of(deadly.id)
    started = time.monotonic()
    await deadly._ring()
    for number in range(5):
        await create_sessions(manager, 5, f"user_{number}")
        other = await jobs.delete_user_sessions(f"user_{number}")
        assert (await other.wait(timeout=30)).removed == 5

    error = await _until_failed(deadly)

    assert error.startswith(f"{_MOST_DEATHS} processes in a row died")
    assert "reclaiming sessions in partition 0, with 0 of 50 sessions done" in error
    assert len(proxy.killed) == _MOST_DEATHS
    # One for each ring of the lifeline, rather than at once again and again.
    assert time.monotonic() - started > _MOST_DEATHS * manager.settings.stalled_after_seconds
    assert worker.running
    assert not any([await manager.session_exists(session.session_id) for session in sessions])
    await _is_shown_as_failed(deadly.id, server, process_settings)

    proxy.spare()
    await asyncio.to_thread(run_cli, "jobs", "resume", deadly.id, **process_settings)
    done = await deadly.wait(timeout=30)
    assert (done.removed, done.error) == (50, None)
    assert done.receipt is not None
    assert done.receipt.residue.sessions == 0
    assert len(proxy.killed) == _MOST_DEATHS


async def _is_shown_as_failed(job_id: str, server: RedisServer, settings: dict[str, Any]) -> None:
    """By the command line, and by Celery, where Flower and who waits for the result have it from."""
    shown = await asyncio.to_thread(run_cli, "jobs", "list", "--state", "failed", "--json", **settings)
    [job] = shown.document()["jobs"]
    assert (job["job_id"], "processes in a row died" in job["error"]) == (job_id, True)
    with server.client(db=2) as results:

        def fails_as_a_job() -> bool:
            found = json.loads(results.get(f"celery-task-meta-{job_id}") or "{}")
            return found.get("status") == "FAILURE" and found["result"]["exc_type"] == "JobFailedError"

        await wait_until(fails_as_a_job, description="Celery to have heard of it", timeout=10)


async def test_a_job_whose_processes_are_killed_here_and_there_is_done(
    manager: SessionManager, proxy: KillingProxy, worker: CeleryProcess
) -> None:
    await create_sessions(manager, 600)
    job = SessionJobs(manager).get(await manager.revoke_user_sessions("ann"))
    proxy.kill_at_batches_of(job.id, every=2)
    await job._ring()
    done = await job.wait(timeout=60)
    assert done.removed == 600
    assert len(proxy.killed) > _MOST_DEATHS
    assert done.receipt is not None
    assert (done.receipt.sessions, done.receipt.residue.sessions) == (600, 0)
