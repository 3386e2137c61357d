"""The server goes down, stops answering, cuts connections, loses data or is full, while callers and workers
work."""

import asyncio
import re
import time
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager, StoreError, StoreRefusedError
from agent_runtime.manager.jobs import JobNotFoundError, JobState
from agent_runtime.tasks import SessionJobs
from agent_runtime.tasks.celery_config import BULK_QUEUE
from agent_runtime.tasks.publisher import Publisher
from tests.support.callers import Callers
from tests.support.jobs import finished
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.stopwatch import Stopwatch
from tests.support.wait_until import wait_until


async def until_asked(callers: Callers, more: int) -> None:
    """Return once the callers have asked for so many more deletions."""
    enough = callers.deletions + more
    await wait_until(lambda: callers.deletions >= enough, description="more deletions")


async def test_restarts_in_the_midst_of_work_cost_nothing(
    impatient: SessionManager, server: RedisServer, worker: CeleryProcess, beat: CeleryProcess
) -> None:
    """At each restart, the worker holds an unacknowledged message: one for later."""
    held = Publisher(impatient.settings)._app.send_task(
        "tasks.delete_user_sessions", ["nobody"], queue=BULK_QUEUE, countdown=600
    )
    await wait_until(lambda: f"[{held.id}] received" in worker.log(), description="it")
    async with Callers(impatient) as callers:
        for _ in range(3):
            await until_asked(callers, 10)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
        await until_asked(callers, 3)
    await callers.check()
    assert worker.running
    assert beat.running


@pytest.mark.parametrize(
    ("break_", "mend", "seconds"),
    [("stop", "start", 2), ("freeze", "thaw", 4)],  # 4 is more than the timeouts of all connections
)
async def test_a_server_away_for_long_is_said_in_time_and_all_are_back_with_it(
    impatient: SessionManager,
    server: RedisServer,
    worker: CeleryProcess,
    beat: CeleryProcess,
    break_: str,
    mend: str,
    seconds: int,
) -> None:
    longest = 0.0
    async with Callers(impatient) as callers:
        await until_asked(callers, 10)
        getattr(server, break_)()
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            with Stopwatch() as watch, pytest.raises(StoreError):
                await impatient.get_session("sess_1")
            longest = max(longest, watch.seconds)
            await asyncio.sleep(0.1)
        await asyncio.to_thread(getattr(server, mend))
        await until_asked(callers, 10)
    assert longest < 2  # the caller's timeout of half a second ended them, and no other
    await callers.check()
    assert worker.running
    assert beat.running


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("tasks.resume_stalled_jobs", "Couldn't ack"),
        ("tasks.of_another_version", "Couldn't reject"),
    ],
    ids=["acknowledgements", "rejections"],
)
async def test_a_worker_whose_acknowledgements_are_lost_takes_the_next_task(
    manager: SessionManager, server: RedisServer, process_settings: dict[str, Any], task: str, said: str
) -> None:
    """Send ten times as many tasks as the worker holds at a time. (Each such loss had taken one of its places
    for good.)"""
    sender = Publisher(manager.settings)._app
    async with Proxy(server.port) as proxy:
        settings = {**process_settings, "broker_url": proxy.url().replace("/0", "/1")}
        with ExitStack() as stack:
            worker = await asyncio.to_thread(stack.enter_context, celery_worker(**settings))
            proxy.lose_replies_to(b"HDEL", 20)
            for _ in range(30):
                sender.send_task(task, queue=BULK_QUEUE)
            sender.send_task("tasks.resume_stalled_jobs", task_id="last", queue=BULK_QUEUE)
            await wait_until(lambda: "[last] succeeded" in worker.log(), description="the last to be done")
            assert said in worker.log()


async def test_connections_cut_again_and_again_cost_nothing(
    impatient: SessionManager, raw: redis.Redis, worker: CeleryProcess, beat: CeleryProcess
) -> None:
    cut = 0
    async with Callers(impatient) as callers:
        for _ in range(8):
            cut += raw.client_kill_filter(_type="normal", skipme=True)
            cut += raw.client_kill_filter(_type="pubsub", skipme=True)
            await asyncio.sleep(0.3)
        await until_asked(callers, 3)
    await callers.check()
    assert cut > 50
    assert worker.running
    assert beat.running


async def test_a_broker_that_loses_everything_again_and_again_costs_time_only(
    impatient: SessionManager, server: RedisServer, worker: CeleryProcess
) -> None:
    with server.client(db=1) as broker:
        async with Callers(impatient) as callers:
            for _ in range(10):
                await until_asked(callers, 3)
                broker.flushdb()
        await callers.check()
    assert worker.running


async def test_a_message_that_a_worker_took_and_never_saw_costs_time_only(
    manager: SessionManager, server: RedisServer, process_settings: dict[str, Any], beat: CeleryProcess
) -> None:
    """The message is lost as if the worker died between taking it and recording that it has."""
    await create_sessions(manager, 50)
    job = await SessionJobs(manager).delete_user_sessions("ann")
    with server.client(db=1) as broker:
        assert broker.brpop(["bulk"], timeout=30)
        assert broker.hlen("unacked") == 0
    with celery_worker(**process_settings):
        assert (await finished(job)).removed == 50


async def test_when_all_data_is_lost_jobs_are_unknown_and_nothing_else_is_deleted(
    manager: SessionManager, raw: redis.Redis, worker: CeleryProcess, beat: CeleryProcess
) -> None:
    jobs = SessionJobs(manager)
    await create_sessions(manager, 8_000)
    running, waiting = (
        await jobs.delete_user_sessions("ann"),
        await jobs.delete_user_sessions("bob", grace=60),
    )
    await wait_until(lambda: is_begun(manager, running.id), description="the job to have begun")
    raw.flushall()
    for job in (running, waiting):
        with pytest.raises(JobNotFoundError):
            await job.progress()
    later = await create_sessions(manager, 20)
    before = looks(worker)
    await wait_until(lambda: looks(worker) >= before + 3, description="looks for jobs")
    assert (await jobs.list()).jobs == []
    assert len(await manager.get_sessions_by_user("ann")) == len(later)
    assert (await finished(await jobs.delete_user_sessions("ann"))).removed == len(later)
    assert worker.running
    assert beat.running


async def test_jobs_do_not_need_the_store_of_celerys_results(
    manager: SessionManager, process_settings: dict[str, Any]
) -> None:
    with RedisServer() as results:
        changed = {**process_settings, "result_backend": results.url()}
        with celery_worker(**changed) as worker, CeleryProcess("beat", **changed):
            await create_sessions(manager, 5_000)
            job = await SessionJobs(manager).delete_user_sessions("ann")
            await wait_until(lambda: is_begun(manager, job.id), description="the job to have begun")
            results.stop()
            assert (await finished(job)).removed == 5_000
            assert worker.running


async def test_a_full_store_is_emptied_by_workers_that_stay(
    manager: SessionManager, raw: redis.Redis, process_settings: dict[str, Any]
) -> None:
    await create_sessions(manager, 5_000)
    with RedisServer() as broker:
        settings = {**process_settings, "broker_url": broker.url(), "result_backend": broker.url(1)}
        with celery_worker(**settings) as worker, CeleryProcess("beat", **settings):
            raw.config_set("maxmemory", int(raw.info("memory")["used_memory"]) // 2)
            with pytest.raises(StoreRefusedError):
                await manager.create_session("carl", "bot")
            elsewhere = manager.settings.model_copy(update={"broker_url": broker.url()})
            async with SessionManager.from_settings(elsewhere) as enqueuing:
                job = await SessionJobs(enqueuing).delete_user_sessions("ann")
                assert (await finished(job)).removed == 5_000
            assert worker.running
    raw.config_set("maxmemory", 0)


async def test_a_full_server_that_is_broker_too_keeps_jobs_until_there_is_room(
    manager: SessionManager, raw: redis.Redis, worker: CeleryProcess, beat: CeleryProcess
) -> None:
    """The server takes no messages, so only the slices at work go on."""
    await create_sessions(manager, 5_000)
    kept = await create_sessions(manager, 1, "bob")
    job = await SessionJobs(manager).delete_user_sessions("ann")
    await wait_until(lambda: is_begun(manager, job.id), description="the job to have begun")
    raw.config_set("maxmemory", int(raw.info("memory")["used_memory"]) // 2)
    with pytest.raises(StoreRefusedError):
        await manager.create_session("carl", "bot")
    await asyncio.sleep(2)
    raw.config_set("maxmemory", 0)
    assert (await finished(job)).removed == 5_000
    assert await manager.get_sessions_by_user("bob") == kept
    assert worker.running
    assert beat.running


def looks(worker: CeleryProcess) -> int:
    """Count how often the worker has looked for stalled jobs."""
    return len(re.findall(r"tasks.resume_stalled_jobs\[\S+ succeeded", worker.log()))


async def is_begun(manager: SessionManager, job_id: str) -> bool:
    """Return True if the job has begun and goes on."""
    progress = await manager.jobs.progress(job_id)
    assert progress.state is not JobState.DONE, "too fast to be interrupted"
    return progress.done > 0
