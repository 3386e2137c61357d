"""Round trips to the store, counted by a proxy: those of a caller that asks for a job, and of the worker that
does it.

Calls that leave together are one round trip.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.jobs import JobNotFoundError
from agent_runtime.tasks import Job, SessionJobs
from tests.support.jobs import finished
from tests.support.processes import celery_worker
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire, save_turns
from tests.support.wait_until import wait_until

_SESSIONS = 50


async def _have_sessions(manager: SessionManager) -> None:
    await create_sessions(manager, _SESSIONS)


async def _have_turns(manager: SessionManager) -> None:
    await manager.delete_user_sessions("ann")  # whose checkpoints an earlier pruning has left
    sessions = await create_sessions(manager, _SESSIONS)
    await asyncio.gather(*(save_turns(manager, session.session_id, 2) for session in sessions))


async def _have_expired(manager: SessionManager) -> None:
    await let_expire(manager, *await create_sessions(manager, _SESSIONS))


Prepare = Callable[[SessionManager], Awaitable[None]]
Enqueue = Callable[[SessionJobs], Awaitable[Job]]

#: For each kind of job: what is there before, the call and the task that ask for it, and most round trips of
#: the worker from the message of `tasks.run_job` to the end of the job.
KINDS: dict[str, tuple[Prepare, Enqueue, tuple[str, dict[str, Any]], int]] = {
    "delete_user": (
        _have_sessions,
        lambda jobs: jobs.delete_user_sessions("ann"),
        ("tasks.delete_user_sessions", {"user_id": "ann"}),
        7,
    ),
    "delete_agent": (
        _have_sessions,
        lambda jobs: jobs.delete_agent_sessions("bot"),
        ("tasks.delete_agent_sessions", {"agent_id": "bot"}),
        7,
    ),
    "prune": (
        _have_turns,
        lambda jobs: jobs.prune_checkpoints(keep_last=1),
        ("tasks.prune_checkpoints", {"keep_last": 1}),
        5,
    ),
    "sweep": (
        _have_expired,
        lambda jobs: jobs.cleanup_expired_sessions(),
        ("tasks.cleanup_expired_sessions", {}),
        5,
    ),
}


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server, and so a broker, that no other worker reads."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def namespace() -> str:
    return "round-trips"


@pytest.fixture
def settings(server: RedisServer, namespace: str) -> Settings:
    return Settings(redis_url=server.url(), namespace=namespace, call_timeout_seconds=30)


@pytest.fixture
async def workers(server: RedisServer, settings: Settings) -> AsyncIterator[Proxy]:
    """The proxy between a worker and the store.

    The broker is reached without it, in a database of its own: the worker of other tests may be running.
    """
    async with Proxy(server.port) as proxy:
        process = {
            "redis_url": proxy.url(),
            "broker_url": server.url(5),
            "result_backend": server.url(6),
            "namespace": settings.namespace,
            "call_timeout_seconds": 30,
        }
        with ExitStack() as running:
            await asyncio.to_thread(running.enter_context, celery_worker(name="round-trips", **process))
            yield proxy


@pytest.fixture
async def callers(server: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


async def test_a_caller_needs_one_round_trip_and_a_job_of_50_sessions_eight(
    manager: SessionManager,
    server: RedisServer,
    settings: Settings,
    workers: Proxy,
    callers: Proxy,
    record_property: Callable[[str, object], None],
) -> None:
    urls = {"redis_url": callers.url(), "broker_url": server.url(5), "result_backend": server.url(6)}
    jobs = SessionJobs(manager)
    over = []
    async with SessionManager.from_settings(settings.model_copy(update=urls)) as caller:
        for name, (prepare, enqueue, (task, arguments), most) in KINDS.items():
            for _ in range(2):  # at first, the server learns the scripts
                await prepare(manager)
                before = workers.calls, callers.calls
                job = await enqueue(SessionJobs(caller))
                asked = callers.calls - before[1]
                assert (await finished(job)).removed == _SESSIONS
                worked = workers.calls - before[0]
                await prepare(manager)
                before = workers.calls, callers.calls
                sent = SessionJobs(caller)._publisher._app.send_task(task, kwargs=arguments)
                await wait_until(lambda id_=sent.id: _is_known(jobs, id_), description="the job to be opened")
                assert (await finished(jobs.get(sent.id))).removed == _SESSIONS
                with_task = workers.calls - before[0]
            record_property(name, f"caller {asked}, worker {worked}, with the task that opens it {with_task}")
            if asked > 1 or worked > most or with_task > 8:
                over.append(name)
    assert not over


async def _is_known(jobs: SessionJobs, job_id: str) -> bool:
    try:
        await jobs.get(job_id).progress()
    except JobNotFoundError:
        return False
    return True
