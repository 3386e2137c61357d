"""Jobs as Celery's callers see them: failed ones, idempotency keys, options from JSON."""

import asyncio
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobFailedError, JobState
from agent_runtime.tasks import SessionJobs
from tests.support.jobs import finished, make_due
from tests.support.processes import CeleryProcess, celery_worker, run_program
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, save_turns
from tests.support.wait_until import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def worker_settings(server: RedisServer) -> dict[str, object]:
    namespace = f"tasks-{secrets.token_hex(8)}"
    return {"redis_url": server.url(), "namespace": namespace, "max_attempts": 2}


@pytest.fixture(scope="module")
def worker(worker_settings: dict[str, object]) -> Iterator[CeleryProcess]:
    with celery_worker(**worker_settings) as running:
        yield running


@pytest.fixture
def program(worker_settings: dict[str, object], worker: CeleryProcess) -> Any:
    """Runs an expression in a program that has imported `tasks`; its value."""

    async def run(expression: str, setup: str = "import tasks") -> Any:
        code = f"import json\n{setup}\nprint(json.dumps({expression}))"
        return await asyncio.to_thread(run_program, code, **worker_settings)

    return run


async def test_a_job_that_failed_raises_in_whoever_waits_for_it(
    program: Any, manager: SessionManager, jobs: SessionJobs, raw: redis.Redis
) -> None:
    await create_sessions(manager, 5)
    job = jobs.get(await manager.revoke_user_sessions("ann"))
    key = manager._context.partitions.home.prefix + f"revoked:{job.id}:1".encode()
    raw.rename(key, b"aside:" + key)
    raw.set(key, "of another type", ex=60)

    await job.resume()  # enqueues it

    with pytest.raises(JobFailedError, match="WRONGTYPE"):
        await finished(job)
    setup = f"""
from celery.result import AsyncResult
from agent_runtime.manager.jobs import JobFailedError
import tasks
try:
    answer = AsyncResult("{job.id}", app=tasks.app).get(timeout=600)
except JobFailedError as error:
    answer = str(error)
"""
    assert "has failed" in await program("answer", setup)
    assert await manager.get_sessions_by_user("ann") == []

    raw.rename(b"aside:" + key, key)
    await job.resume()
    assert (await finished(job)).removed == 5


async def test_the_same_key_from_two_programs_is_one_job(program: Any, manager: SessionManager) -> None:
    await create_sessions(manager, 4)
    call = "tasks.delete_user_sessions.delay('ann', idempotency_key='order 7').get(timeout=600)"
    assert await program(call) == 4
    page = await manager.jobs.list()
    [job] = [job for job in page.jobs if job.target == "ann" and job.total == 4]

    async def done() -> bool:
        return (await manager.jobs.progress(job.job_id)).finished

    await wait_until(done, description="the job to be done")
    await create_sessions(manager, 1)
    assert await program(call) == 4
    assert len(await manager.get_sessions_by_user("ann")) == 1
    await manager.delete_user_sessions("ann")


async def test_a_pruning_with_a_key_does_not_answer_a_number_of_sessions(
    program: Any, manager: SessionManager
) -> None:
    for session in await create_sessions(manager, 2, "carl", "pruned"):
        await save_turns(manager, session.session_id, 5)
    call = "tasks.prune_checkpoints.delay(agent_id='pruned', keep_last=1, idempotency_key='8')"
    assert await program(f"{call}.get(timeout=600)") in (0, 8)
    page = await manager.jobs.list()

    async def done() -> bool:
        return (await manager.jobs.progress(page.jobs[0].job_id)).finished

    await wait_until(done, description="the job to be done")
    assert await program(f"{call}.get(timeout=600)") == 8
    await manager.delete_user_sessions("carl")


async def test_a_request_that_joined_a_job_answers_its_share_also_when_that_is_done(
    program: Any, manager: SessionManager, raw: redis.Redis
) -> None:
    """So it is if its message is delivered again, or if the job ends at that moment."""
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    await create_sessions(manager, 2)
    setup = """
import tasks
def erase():
    tasks.app.AsyncResult('given joined').forget()  # the answer of an earlier delivery
    message = tasks.delete_user_sessions.apply_async(['ann'], {'grace': 3600}, task_id='given joined')
    return message.get(timeout=600)
"""
    assert await program("erase()", setup) == 2
    await make_due(manager, raw, job_id)
    assert (await manager.jobs.run(job_id)).removed == 5
    assert await program("erase()", setup) == 2


@pytest.mark.parametrize("options", ["idempotency_key=None", "grace=None, max_affected=None", "reason='r'"])
async def test_options_from_json_may_be_null(program: Any, manager: SessionManager, options: str) -> None:
    """A message delivered again is then the same job still."""
    await create_sessions(manager, 3)
    setup = f"""
import tasks
def erase():
    tasks.app.AsyncResult('given {options}').forget()  # the answer of an earlier delivery
    message = tasks.delete_user_sessions.apply_async(['ann'], dict({options}), task_id='given {options}')
    return message.get(timeout=600)
first = erase()
"""
    assert await program("first", setup) == 3
    newer = await manager.create_session("ann", "bot")
    assert await program("first", setup) == 3
    assert await manager.session_exists(newer.session_id)
    await manager.delete_user_sessions("ann")


async def test_a_message_delivered_again_after_the_job_failed_does_not_say_that_all_is_well(
    program: Any, manager: SessionManager, raw: redis.Redis
) -> None:
    await create_sessions(manager, 2)
    job_id = await manager.revoke_user_sessions("ann", "given failed")
    home = manager._context.partitions.home
    raw.hset(home.job(job_id), mapping={"state": "failed", "started": 1, "error": "why"})
    raw.zrem(home.jobs, job_id)
    setup = """
import tasks
result = tasks.delete_user_sessions.apply_async(['ann'], task_id='given failed')
result.get(timeout=600, propagate=False)
"""
    assert await program("[result.state, str(result.result)]", setup) == [
        "FAILURE",
        "job 'given failed' has failed: why",
    ]
    await manager.jobs.control(job_id, "resume")
    assert (await manager.jobs.run(job_id)).state is JobState.DONE
