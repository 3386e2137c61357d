"""Messages that come again and again, too late, broken, or that no worker takes."""

import asyncio
import base64
import json
from typing import Any

import pytest
from celery import Celery

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.tasks import SessionJobs
from agent_runtime.tasks.celery_config import BULK_QUEUE, FOREIGN_QUEUE, MAINTENANCE_QUEUE
from agent_runtime.tasks.publisher import Publisher
from tests.support.cli import run_cli
from tests.support.jobs import finished, receipts_of
from tests.support.processes import celery_worker
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until

_TIMES = 50


@pytest.fixture
def sender(settings: Settings) -> Celery:
    """An app that sends to the workers' broker."""
    return Publisher(settings)._app


async def test_messages_delivered_fifty_times_are_worked_on_once(
    manager: SessionManager, sender: Celery, process_settings: dict[str, Any]
) -> None:
    await create_sessions(manager, 2_000)
    await create_sessions(manager, 20, "bob")
    job = await SessionJobs(manager).delete_user_sessions("ann")
    Publisher(manager.settings).send((await manager.jobs.read(job.id)).next_slices(1) * _TIMES)
    for _ in range(_TIMES):
        sender.send_task("tasks.delete_user_sessions", ["bob"], task_id="erasure", queue=BULK_QUEUE)
    with celery_worker(name="a", **process_settings) as a, celery_worker(name="b", **process_settings) as b:

        def ended(what: str) -> int:
            return sum(worker.log().count(f"{what} received") for worker in (a, b))

        await wait_until(
            lambda: ended("run_job[" + job.id + "]") > _TIMES and ended("sessions[erasure]") >= _TIMES,
            description="each message to be taken",
        )
        assert (await finished(job)).removed == 2_000
        assert (await finished(SessionJobs(manager).get("erasure"))).removed == 20
        later = await create_sessions(manager, 3, "bob")
    assert sorted(receipt.sessions for receipt in await receipts_of(manager)) == [20, 2_000]
    assert len(await manager.get_sessions_by_user("bob")) == len(later)


async def test_a_slice_longer_than_the_visibility_timeout_has_one_message(
    manager: SessionManager, process_settings: dict[str, Any]
) -> None:
    settings = {**process_settings, "slice_seconds": 60, "stalled_after_seconds": 60}
    with celery_worker(app="tests.support.hasty", **settings) as worker:
        for count in (3_000, 9_000, 27_000):  # as many as make a slice longer than a second on this machine
            await create_sessions(manager, count)
            job = await SessionJobs(manager).delete_user_sessions("ann")
            done = await finished(job)
            assert done.removed == count
            assert worker.log().count(f"run_job[{job.id}] received") == 1
            if (done.finished_at - done.started_at).total_seconds() > 1:
                return
    raise AssertionError("no slice was longer than the visibility timeout")


async def test_a_task_that_waits_beyond_the_visibility_timeout_is_done_once(
    manager: SessionManager, server: RedisServer, process_settings: dict[str, Any]
) -> None:
    """The task waits in a worker for the store, and meanwhile the broker hands it out again."""
    await create_sessions(manager, 20)
    with RedisServer() as broker, server.client() as store:
        settings = {**process_settings, "broker_url": broker.url(), "result_backend": broker.url(1)}
        elsewhere = Publisher(manager.settings.model_copy(update={"broker_url": broker.url()}))
        with celery_worker(app="tests.support.hasty", **settings) as worker:
            store.replicaof("127.0.0.1", 1)
            elsewhere._app.send_task("tasks.delete_user_sessions", ["ann"], task_id="it", queue=BULK_QUEUE)
            await wait_until(
                lambda: worker.log().count("sessions[it] received") > 5,
                description="the message to be handed out again",
            )
            store.replicaof("NO", "ONE")
            job = SessionJobs(manager).get("it")
            await wait_until(lambda: is_there(manager, "it"), description="a try that succeeds")
            assert (await finished(job)).removed == 20
    assert [receipt.sessions for receipt in await receipts_of(manager)] == [20]


async def is_there(manager: SessionManager, job_id: str) -> bool:
    return any(job.job_id == job_id for job in (await SessionJobs(manager).list()).jobs)


async def test_messages_that_cannot_be_read_end_no_worker(
    manager: SessionManager, server: RedisServer, sender: Celery, process_settings: dict[str, Any]
) -> None:
    """The worker drops bodies that are no task, and bytes that are no message at all."""
    await create_sessions(manager, 20)
    sender.send_task("tasks.run_job", ["job"], queue=BULK_QUEUE)
    with server.client(db=1) as broker:
        envelope = json.loads(broker.lpop(BULK_QUEUE))
    with (
        server.client(db=1) as broker,
        celery_worker(app="tests.support.hasty", **process_settings) as worker,
    ):
        sender.send_task("tasks.of_another_version", queue=BULK_QUEUE)
        for body in (b"{not json", b"\xff\xfe", b"[]", b"null", b"[1, 2, 3]"):
            properties = {**envelope["properties"], "delivery_tag": body.hex()}
            broken = {**envelope, "properties": properties, "body": base64.b64encode(body).decode()}
            broker.lpush(BULK_QUEUE, json.dumps(broken))
        for text in ("not an envelope", "{}", "[1]", "null"):
            broker.lpush(BULK_QUEUE, text)
        job = await SessionJobs(manager).delete_user_sessions("ann")
        assert (await finished(job)).removed == 20
        await wait_until(lambda: not broker.llen(BULK_QUEUE), description="all to be taken")
        await create_sessions(manager, 5)
        assert (await (await SessionJobs(manager).delete_user_sessions("ann")).wait(60)).removed == 5
        assert worker.running
        # Messages that were prefetched when the connection was made anew are handed out again, and dropped
        # then.
        await wait_until(lambda: not broker.hlen("unacked"), description="none to be held")
        assert "tasks.of_another_version" in worker.log()


async def test_a_worker_that_takes_nothing_though_it_answers_is_noticed(
    manager: SessionManager, sender: Celery, process_settings: dict[str, Any]
) -> None:
    await create_sessions(manager, 20)
    with celery_worker(**process_settings):
        for queue in (BULK_QUEUE, MAINTENANCE_QUEUE, FOREIGN_QUEUE):
            assert sender.control.cancel_consumer(queue, reply=True, timeout=30, limit=1)
        assert sender.control.ping(timeout=30, limit=1)
        asked = await asyncio.to_thread(run_cli, "delete-user", "ann", "--yes", "--json", **process_settings)
        assert "No worker answers; the job waits for one" in asked.err
        assert asked.document()["state"] == "queued"
        assert sender.control.add_consumer(BULK_QUEUE, reply=True, timeout=30, limit=1)
        job = SessionJobs(manager).get(asked.document()["job_id"])
        assert (await finished(job)).removed == 20
