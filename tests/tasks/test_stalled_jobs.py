"""Whatever dies or is lost, an open job ends, with the exact count."""

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.tasks import Job, SessionJobs
from tests.support.jobs import finished
from tests.support.processes import CeleryProcess, celery_worker, run_program
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until

_SESSIONS = 8_000


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, which it may restart."""
    with RedisServer(keeps_data=True) as running:
        yield running


@pytest.fixture
def worker_settings(server: RedisServer) -> dict[str, Any]:
    return {
        "redis_url": server.url(),
        "namespace": f"rescue-{secrets.token_hex(8)}",
        "slice_seconds": 0.2,
        "stalled_after_seconds": 1,
        # Slow enough to be interrupted: batches never grow beyond their smallest.
        "batch_target_ms": 0.001,
    }


@pytest.fixture
async def job(manager: SessionManager) -> Job:
    """The deletion of a user with many sessions, enqueued."""
    await create_sessions(manager, _SESSIONS)
    await manager.create_session("bob", "bot")
    return await SessionJobs(manager).delete_user_sessions("ann")


@pytest.fixture
def settings(worker_settings: dict[str, Any]) -> Settings:
    return Settings(**worker_settings, call_timeout_seconds=30)


async def until_begun(job: Job) -> None:
    async def begun() -> bool:
        progress = await job.progress()
        assert not progress.finished, "too fast to be interrupted"
        return progress.done > 0

    await wait_until(begun, description="the job to have begun")


async def until_rung(worker_settings: dict[str, Any]) -> None:
    """Publish stalled jobs, as Beat has it done, until there was one."""

    async def published() -> bool:
        rescue = "import tasks; print(tasks.resume_stalled_jobs())"
        return bool(await asyncio.to_thread(run_program, rescue, **worker_settings))

    await wait_until(published, description="a stalled job")


async def check_end(job: Job, manager: SessionManager) -> None:
    assert (await finished(job)).removed == _SESSIONS
    assert await manager.get_active_session_count() == 1


async def test_a_job_survives_the_kill_of_its_only_worker(
    job: Job, manager: SessionManager, worker_settings: dict[str, Any]
) -> None:
    with celery_worker(**worker_settings) as worker:
        await until_begun(job)
        worker.kill()
    with celery_worker(**worker_settings):
        await until_rung(worker_settings)
        await check_end(job, manager)


async def test_a_job_whose_only_worker_was_killed_is_requeued_by_beat(
    job: Job, manager: SessionManager, worker_settings: dict[str, Any]
) -> None:
    beat = CeleryProcess("beat", ready="is starting.", **worker_settings, resume_interval_seconds=0.5)
    with beat:
        with celery_worker(**worker_settings) as worker:
            await until_begun(job)
            worker.kill()
        with celery_worker(**worker_settings):
            await check_end(job, manager)


async def test_a_job_survives_the_loss_of_everything_in_the_broker(
    job: Job, server: RedisServer, manager: SessionManager, worker_settings: dict[str, Any]
) -> None:
    with server.client(db=1) as broker:
        broker.flushdb()
    with celery_worker(**worker_settings):
        await until_rung(worker_settings)
        await check_end(job, manager)


async def test_a_job_survives_a_restart_of_the_server_and_so_does_its_worker(
    job: Job, server: RedisServer, manager: SessionManager, worker_settings: dict[str, Any]
) -> None:
    with celery_worker(**worker_settings) as worker:
        await until_begun(job)
        await asyncio.to_thread(server.restart)
        await until_rung(worker_settings)
        await check_end(job, manager)
        assert worker.running


async def test_a_worker_told_to_stop_ends_its_slice_and_the_next_goes_on(
    job: Job, manager: SessionManager, worker_settings: dict[str, Any]
) -> None:
    with celery_worker(**worker_settings) as worker:
        await until_begun(job)
        assert await asyncio.to_thread(worker.terminate) == 0
    assert not (await job.progress()).finished
    with celery_worker(**worker_settings):
        await check_end(job, manager)


async def test_a_doorbell_rung_many_times_over_counts_once(
    job: Job, manager: SessionManager, worker_settings: dict[str, Any]
) -> None:
    rescue = f"""
import tasks
for _ in range(20):
    tasks.run_job.apply_async(["{job.id}"], task_id="{job.id}")
print("null")
"""
    with celery_worker(**worker_settings):
        await asyncio.to_thread(run_program, rescue, **worker_settings)
        await check_end(job, manager)


async def test_an_erasure_sent_while_the_store_refuses_is_done_when_it_is_back(
    server: RedisServer, manager: SessionManager, worker_settings: dict[str, Any]
) -> None:
    """In a fail-over a store is a read-only replica for a while."""
    session = await manager.create_session("ann", "bot")
    with RedisServer() as broker:
        settings = {**worker_settings, "broker_url": broker.url(1), "result_backend": broker.url(2)}
        with celery_worker(**settings) as worker, server.client() as store:
            store.replicaof("127.0.0.1", 1)
            send = "import tasks; tasks.delete_user_sessions.delay('ann'); print('null')"
            await asyncio.to_thread(run_program, send, **settings)
            await wait_until(lambda: "Retry in" in worker.log(), description="the worker to be refused")
            keys = manager._context.partitions.of_session(session.session_id)
            assert store.exists(keys.user_index("ann")), "nothing is revoked yet"
            store.replicaof("NO", "ONE")
            await wait_until(
                lambda: "tasks.run_job" in worker.log().partition("Retry in")[2],
                description="the erasure to be tried again",
            )
    assert not await manager.session_exists(session.session_id)


async def test_a_job_that_cannot_be_read_does_not_keep_the_bell_from_others(
    job: Job, server: RedisServer, manager: SessionManager, worker_settings: dict[str, Any]
) -> None:
    strange = await manager.revoke_user_sessions("bob")
    with server.client() as store, server.client(db=1) as broker:
        broker.flushdb()
        store.hset(manager._context.partitions.home.job(strange), "kind", "of a later version")
        with celery_worker(**worker_settings):
            await until_rung(worker_settings)
            assert (await finished(job)).removed == _SESSIONS
        store.hset(manager._context.partitions.home.job(strange), "kind", "delete_user_sessions")
    assert (await manager.jobs.run(strange)).removed == 1
