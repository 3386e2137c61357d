"""The tasks in a caller's own Celery app: its worker, with its other tasks in it, runs our jobs."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.result import AsyncResult

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.jobs import JobState
from agent_runtime.tasks import SessionJobs, install_tasks
from tests.support.jobs import finished
from tests.support.processes import CeleryProcess, run_program
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire
from tests.support.wait_until import wait_until

#: The names of our tasks.
_OURS = {
    "tasks.cleanup_expired_sessions",
    "tasks.delete_agent_sessions",
    "tasks.delete_user_sessions",
    "tasks.prune_checkpoints",
    "tasks.resume_stalled_jobs",
    "tasks.run_job",
}

#: A caller's app in its project folder, with a task, a queue and a route of its own.
_APP = """
import os
from celery import Celery

app = Celery("shop", broker=os.environ["SHOP_BROKER"], backend=os.environ["SHOP_RESULTS"]{include})
app.conf.task_routes = {{"tasks.pay": {{"queue": "payments"}}}}
app.conf.beat_schedule = {{"pay": {{"task": "tasks.pay", "schedule": 0.2, "args": [1]}}}}


@app.task(name="tasks.pay")
def pay(amount):
    return 2 * amount
"""

#: Each way in which the app takes our tasks, with what is behind it in the module, and in its `include`.
_WAYS = {
    "install_tasks": ("from agent_runtime.tasks import install_tasks\ninstall_tasks(app)\n", ""),
    "include": ("", ', include=["agent_runtime.tasks.entry_tasks"]'),
}

Start = Callable[..., AbstractContextManager[CeleryProcess]]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server, and so a broker, that no other worker reads."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def namespace() -> str:
    return f"shop-{secrets.token_hex(8)}"


@pytest.fixture
def settings(server: RedisServer, namespace: str) -> Settings:
    """The broker that they name is not the caller's: nobody reads it."""
    return Settings(
        redis_url=server.url(),
        broker_url=server.url(8),
        result_backend=server.url(9),
        namespace=namespace,
        slice_seconds=0.05,
        batch_target_ms=0.001,
        call_timeout_seconds=30,
    )


@pytest.fixture
def shop(server: RedisServer) -> Celery:
    """The caller's app as a service of theirs has it that only sends."""
    return Celery("shop", broker=server.url(1), backend=server.url(2), set_as_current=False)


@pytest.fixture
def start(tmp_path: Path, server: RedisServer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts `celery -A shop …` in the project's folder."""
    monkeypatch.setenv("SHOP_BROKER", server.url(1))
    monkeypatch.setenv("SHOP_RESULTS", server.url(2))

    def start(*arguments: str, ready: str, way: str = "install_tasks", **changes: object) -> CeleryProcess:
        line, include = _WAYS[way]
        (tmp_path / "shop.py").write_text(_APP.format(include=include) + line)
        ours = settings.model_dump(exclude_unset=True) | changes
        return CeleryProcess(
            *arguments, "--loglevel", "INFO", ready=ready, app="shop", folder=tmp_path, **ours
        )

    return start


_WORKER = ("worker", "--concurrency", "2", "-Q", "celery,payments,bulk,maintenance")


@pytest.mark.parametrize("way", _WAYS)
async def test_the_callers_worker_runs_the_callers_tasks_and_our_jobs(
    manager: SessionManager, shop: Celery, start: Start, way: str
) -> None:
    jobs = SessionJobs(manager, app=shop)
    with start(*_WORKER, ready="ready.", way=way) as worker:
        await create_sessions(manager, 300)
        await create_sessions(manager, 3, "bob")
        await let_expire(manager, *await create_sessions(manager, 2, "eve"))

        paid = shop.send_task("tasks.pay", args=[21], queue="payments")
        by_caller = await jobs.delete_user_sessions("ann")
        by_task = shop.send_task("tasks.delete_user_sessions", args=["bob"], queue="bulk")

        assert await _result_of(paid) == 42
        done = await finished(by_caller)
        assert (done.state, done.removed) == (JobState.DONE, 300)  # of more than one slice
        assert await _result_of(by_task) == 3
        swept = shop.send_task("tasks.cleanup_expired_sessions", queue="maintenance")
        assert await _result_of(swept) == 2
        # Of the job, the store knows before the result backend does.
        assert await _result_of(shop.AsyncResult(by_caller.id)) == 300
        assert worker.running


async def _result_of(task: "AsyncResult[Any]") -> Any:
    await wait_until(task.ready, description=f"the end of task {task.id}")
    return task.get()


async def test_the_callers_beat_has_the_callers_worker_sweep_and_rescue(
    manager: SessionManager, shop: Celery, start: Start
) -> None:
    often = {"sweep_interval_seconds": 0.2, "resume_interval_seconds": 0.2, "stalled_after_seconds": 0.2}
    await create_sessions(manager, 5)
    job_id = await manager.revoke_user_sessions("ann")  # nobody publishes it
    with (
        start(*_WORKER, ready="ready.", **often) as worker,
        start("beat", "--schedule", "beat.db", ready="beat: Starting", **often),
    ):
        assert (await finished(SessionJobs(manager, app=shop).get(job_id))).removed == 5
        worker.wait_for("tasks.cleanup_expired_sessions")
        worker.wait_for("tasks.pay")


async def test_a_worker_without_named_queues_reads_the_default_queue_and_ours(
    manager: SessionManager, shop: Celery, start: Start
) -> None:
    with start("worker", "--concurrency", "1", ready="ready.") as worker:
        await create_sessions(manager, 5)
        job = await SessionJobs(manager, app=shop).delete_user_sessions("ann")
        assert (await finished(job)).removed == 5
        for queue in ("celery", "bulk", "maintenance"):
            assert f".> {queue} " in worker.log()


def test_two_apps_of_one_process_have_the_tasks_each_for_its_own_store(settings: Settings) -> None:
    apps = [Celery(name, set_as_current=False) for name in ("one", "two", "none")]
    other = settings.model_copy(update={"namespace": "other", "slice_seconds": 7.0})
    install_tasks(apps[0], settings)
    install_tasks(apps[1], other)
    install_tasks(apps[1], settings)  # changes nothing
    for app, its in zip(apps, (settings, other), strict=False):
        tasks = {name: task for name, task in app.tasks.items() if name in _OURS}
        assert tasks.keys() == _OURS
        assert {task.app for task in tasks.values()} == {app}
        assert {task.settings for task in tasks.values()} == {its}
        assert {task.time_limit for task in tasks.values()} == {its.slice_seconds + 60}
        assert {task.publisher._app for task in tasks.values()} == {app}
        assert app.conf.beat_schedule.keys() == {"sweep expired sessions", "resume stalled jobs"}
    assert not _OURS & apps[2].tasks.keys()


class _Late:
    task_default_queue = "orders"
    task_routes = ({"orders.*": "orders"}, {"*": "elsewhere"})
    task_acks_late = True
    beat_schedule = {"resume stalled jobs": {"task": "mine", "schedule": 3}}  # noqa: RUF012


class _Django:
    CELERY_TASK_DEFAULT_QUEUE = "orders"
    CELERY_TASK_ROUTES = _Late.task_routes
    CELERY_TASK_ACKS_LATE = True
    CELERY_BEAT_SCHEDULE = _Late.beat_schedule


@pytest.mark.parametrize("when", ["before", "after", "after it was read"])
@pytest.mark.parametrize(("source", "prefix"), [(_Late, None), (_Django, "CELERY")])
def test_what_the_app_is_configured_with_stays_whenever_that_is(
    settings: Settings, when: str, source: type, prefix: str | None
) -> None:
    app = Celery("shop", set_as_current=False)
    if when == "before":
        install_tasks(app, settings)
    app.config_from_object(source, namespace=prefix)
    if when == "after it was read":
        assert list(app.amqp.queues) == ["orders"]
    if when != "before":
        install_tasks(app, settings)

    assert list(app.amqp.queues) == ["orders", "bulk", "maintenance"]
    routed = [app.amqp.router.route({}, name)["queue"].name for name in ("orders.pay", "tasks.run_job")]
    assert routed == ["orders", "elsewhere"]
    assert app.conf.beat_schedule["resume stalled jobs"] == {"task": "mine", "schedule": 3}
    assert app.tasks["tasks.delete_user_sessions"].acks_late
    assert not app.tasks["tasks.run_job"].acks_late


def test_importing_the_package_leaves_the_callers_celery_as_it_was(server: RedisServer) -> None:
    code = """
import json
import celery
from celery import Celery, current_app, shared_task

before = Celery("before", set_as_current=False)
@before.task(name="tasks.delete_user_sessions")
def theirs(user_id):
    return "theirs"
@shared_task(name="tasks.run_job")
def shared(job_id):
    return "shared"

import agent_runtime
import agent_runtime.tasks
from agent_runtime.tasks import delete_user_sessions, run_job

after = Celery("after", set_as_current=False)
names = [sorted(name for name in app.tasks if name.startswith("tasks.")) for app in (before, after)]
own = [type(task).mro()[1].__name__ for task in (delete_user_sessions, run_job)]
queues = [list(app.amqp.queues) for app in (before, after)]
same = before.tasks["tasks.delete_user_sessions"]("ann")
print(json.dumps([current_app.main, names, own, queues, same]))
"""
    current, names, own, queues, same = run_program(code, redis_url=server.url())
    assert current == "default"
    assert names == [["tasks.delete_user_sessions", "tasks.run_job"]] * 2
    assert own == ["SessionTask"] * 2
    assert queues == [["celery"]] * 2
    assert same == "theirs"


async def test_a_settings_object_names_the_store(manager: SessionManager, settings: Settings) -> None:
    """Also of a task that is run in its caller."""
    await create_sessions(manager, 4)
    app = Celery("shop", set_as_current=False)
    install_tasks(app, settings)
    task: Any = app.tasks["tasks.delete_user_sessions"]
    assert task("ann") == 4
    assert await manager.get_sessions_by_user("ann") == []
