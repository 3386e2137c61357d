"""The tasks as other programs use them: each test runs a program of its own against a real worker."""

import asyncio
from typing import Any

import pytest

from agent_runtime.manager import SessionManager
from tests.support.processes import CeleryProcess, run_program
from tests.support.redis_server import free_port


@pytest.fixture(autouse=True)
async def sessions(manager: SessionManager, worker: CeleryProcess) -> None:
    """Three sessions of ann with three checkpoints each, one of bob."""
    for user_id in ("ann", "ann", "ann", "bob"):
        session = await manager.create_session(user_id, f"bot of {user_id}")
        for turn in range(3):
            await manager.save_checkpoint(session.session_id, {"turn": turn})


@pytest.fixture
def program(worker_settings: dict[str, object]) -> Any:
    """Runs an expression in a program that has imported `tasks`; its value."""

    def run(expression: str, setup: str = "import tasks") -> Any:
        return run_program(f"import json\n{setup}\nprint(json.dumps({expression}))", **worker_settings)

    return run


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("delete_user_sessions.delay('ann')", 3),
        ("delete_agent_sessions.delay('bot of bob')", 1),
        ("delete_user_sessions.apply_async(['ann'], countdown=0.1)", 3),
        ("prune_checkpoints.delay(keep_last=1)", 8),
        ("prune_checkpoints.delay(agent_id='bot of ann', keep_last=2)", 3),
        ("cleanup_expired_sessions.delay()", 0),
        ("resume_stalled_jobs.delay()", 0),
    ],
)
async def test_a_program_with_just_the_import_gets_the_count(program: Any, call: str, result: int) -> None:
    name = call.partition(".")[0]

    assert program(f"{call}.get(timeout=600)", f"from tasks import {name}") == result


@pytest.mark.parametrize("how", ["AsyncResult(task_id, app=app)", "app.AsyncResult(task_id)"])
async def test_a_result_is_found_again_by_its_id(program: Any, how: str) -> None:
    setup = """
from celery.result import AsyncResult
from tasks import app, delete_user_sessions
task_id = delete_user_sessions.delay("ann").id
"""
    assert program(f"{how}.get(timeout=600)", setup) == 3


async def test_a_program_without_this_code_can_send_a_task_by_name(worker_settings: dict[str, Any]) -> None:
    url = worker_settings["redis_url"].removesuffix("/0")
    code = f"""
import sys
from celery import Celery
app = Celery(broker="{url}/1", backend="{url}/2")
deleted = app.send_task("tasks.delete_user_sessions", ["ann"]).get(timeout=600)
assert "tasks" not in sys.modules
print(deleted)
"""
    assert run_program(code) == 3


async def test_a_message_delivered_twice_counts_once(program: Any, manager: SessionManager) -> None:
    setup = """
from tasks import delete_user_sessions
first = delete_user_sessions.apply_async(["ann"], task_id="the-same").get(timeout=600)
delete_user_sessions.AsyncResult("the-same").forget()  # or the second would be answered by the first
"""
    later = await manager.create_session("carl", "bot")
    again = "[first, delete_user_sessions.apply_async(['ann'], task_id='the-same').get(timeout=600)]"

    assert program(again, setup) == [3, 3]
    assert await manager.session_exists(later.session_id)


async def test_a_late_duplicate_does_not_touch_newer_sessions(program: Any, manager: SessionManager) -> None:
    send = "delete_user_sessions.apply_async(['ann'], task_id='late').get(timeout=600)"
    setup = """
from tasks import delete_user_sessions
delete_user_sessions.AsyncResult("late").forget()  # or the second would be answered by the first
"""
    assert program(send, setup) == 3
    newer = await manager.create_session("ann", "bot")

    assert program(send, setup) == 3
    assert await manager.session_exists(newer.session_id)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("delete_user_sessions.delay('')", "user_id must not be empty"),
        ("delete_user_sessions.delay(7)", "user_id must be a string, not int"),
        ("delete_agent_sessions.delay('x' * 513)", "agent_id is 513 bytes long; the limit is 512"),
        ("prune_checkpoints.delay()", "needs keep_last or older_than"),
        ("prune_checkpoints.delay(keep_last=-1)", "keep_last must be a whole number of at least 0"),
        ("prune_checkpoints.delay(older_than=0)", "older_than must be a positive number"),
        ("run_job.delay('nothing')", "job 'nothing' not found"),
    ],
)
async def test_bad_arguments_fail_at_once_with_the_reason(
    program: Any, worker: CeleryProcess, call: str, reason: str
) -> None:
    setup = f"""
import tasks
result = tasks.{call}
result.get(timeout=600, propagate=False)
"""
    task_id, state, message = program("[result.id, result.state, str(result.result)]", setup)

    assert state == "FAILURE"
    assert reason in message
    assert worker.log().count(f"[{task_id}] received") == 1


async def test_missing_arguments_are_refused_in_the_caller(program: Any) -> None:
    setup = """
from tasks import delete_user_sessions
try:
    delete_user_sessions.delay()
except TypeError as error:
    message = str(error)
"""
    assert "user_id" in program("message", setup)


@pytest.mark.parametrize(
    "setup",
    ["import tasks; tasks.app.conf.task_always_eager = True", "import tasks"],
    ids=["eager", "called as functions"],
)
async def test_tasks_run_in_their_caller_too(program: Any, setup: str) -> None:
    suffix = ".delay({0}).get()" if "eager" in setup else "({0})"
    calls = [
        "tasks.prune_checkpoints" + suffix.format("keep_last=1"),
        "tasks.delete_user_sessions" + suffix.format("'ann'"),
        "tasks.delete_agent_sessions" + suffix.format("'bot of bob'"),
        "tasks.cleanup_expired_sessions" + suffix.format(""),
        "tasks.resume_stalled_jobs" + suffix.format(""),
    ]
    assert program(f"[{', '.join(calls)}]", setup) == [8, 3, 1, 0, 0]


async def test_eager_tasks_work_inside_a_running_event_loop(program: Any) -> None:
    setup = """
import asyncio, tasks
tasks.app.conf.task_always_eager = True
async def caller():
    return tasks.delete_user_sessions.delay("ann").get()
"""
    assert program("asyncio.run(caller())", setup) == 3


async def test_many_programs_erasing_one_user_count_each_session_once(
    program: Any, manager: SessionManager
) -> None:
    await asyncio.gather(*(manager.create_session("dora", "bot") for _ in range(200)))
    setup = """
from tasks import delete_user_sessions
results = [delete_user_sessions.delay("dora") for _ in range(10)]
"""
    assert sum(program("[result.get(timeout=600) for result in results]", setup)) == 200


def test_a_program_hears_soon_that_the_server_is_down() -> None:
    """By default Celery tries for 19 s to subscribe to a result before it publishes anything."""
    code = """
import json, time
from tasks import delete_user_sessions
started = time.monotonic()
try:
    delete_user_sessions.delay("ann")
    error = None
except Exception as raised:
    error = str(raised)
print(json.dumps([error, time.monotonic() - started]))
"""
    error, seconds = run_program(code, redis_url=f"redis://127.0.0.1:{free_port()}/0")

    assert "result store" in error
    assert seconds < 5
