"""A project with modules named as ours are, into whose environment the wheel was installed."""

import json
import re
import secrets
from pathlib import Path

import pytest

from tests.packaging.environments import Environment
from tests.support.processes import CeleryProcess
from tests.support.redis_server import RedisServer

#: What every module of the project begins with: it notes in a file who imports it.
_NOTE = """
from pathlib import Path

with (Path(__file__).parent / "imported.txt").open("a") as notes:
    notes.write(__name__ + "\\n")
"""

_MODULES = {
    "tasks": """
from celery import Celery

app = Celery("shop", broker="memory://")


@app.task(name="tasks.delete_user_sessions")
def delete_user_sessions(user_id: str) -> int:
    raise AssertionError("the project's own task must not run")
""",
    "worker": "from tasks import app\n",
    "manager": "class SessionManager:\n    pass\n",
    "beat_schedule": "BEAT_SCHEDULE = {'theirs': {'task': 'tasks.delete_user_sessions', 'schedule': 1.0}}\n",
}

_ENQUEUE = """
import asyncio, json, os
import redis
import beat_schedule, manager, tasks, worker
from agent_runtime import SessionJobs, SessionManager

assert manager.SessionManager is not SessionManager
assert worker.app is tasks.app


async def main():
    conn = redis.Redis.from_url(os.environ["AGENT_SESSIONS_REDIS_URL"])
    async with SessionManager(conn) as store:
        for _ in range(3):
            await store.create_session("ann", "bot")
        await store.create_session("bob", "bot")
        job = await SessionJobs(store).delete_user_sessions("ann")
        print(json.dumps([job.id, await store.get_active_session_count()]))


asyncio.run(main())
"""

_FILES = """
import json, sys
from agent_runtime import tasks, worker, manager, beat_schedule

print(json.dumps([module.__file__ for module in (tasks, worker, manager, beat_schedule)]))
"""

_DELAY = """
import json
from agent_runtime.tasks import delete_user_sessions

print(json.dumps(delete_user_sessions.delay("bob").get(timeout=60)))
"""


class Project:
    """The caller's folder, its environment and the settings of its processes."""

    def __init__(self, folder: Path, installed: Environment, **settings: str) -> None:
        self.folder = folder
        self._installed = installed
        self._settings = settings
        self._variables = {f"AGENT_SESSIONS_{name.upper()}": value for name, value in settings.items()}
        for name, body in _MODULES.items():
            (folder / f"{name}.py").write_text(_NOTE + body)

    def run(self, code: str) -> object:
        """Run code from the folder and return what it prints, which is JSON."""
        return json.loads(self._installed.run(code, self.folder, **self._variables))

    def agent_sessions(self, *arguments: str) -> str:
        """Run the installed command from the folder and return what it prints."""
        return self._installed.run_script("agent-sessions", *arguments, folder=self.folder, **self._variables)

    def celery(self, *arguments: str, ready: str) -> CeleryProcess:
        """Start `celery -A agent_runtime <arguments>` in the folder."""
        return CeleryProcess(
            *arguments,
            ready=ready,
            app="agent_runtime",
            celery=self._installed.scripts / "celery",
            folder=self.folder,
            **self._settings,
        )

    def imported(self) -> str:
        """Names of the project's own modules that were imported since the last call."""
        notes = self.folder / "imported.txt"
        text = notes.read_text() if notes.exists() else ""
        notes.unlink(missing_ok=True)
        return " ".join(sorted(set(text.split())))


@pytest.fixture
def project(
    tmp_path: Path,
    installed: Environment,
    server: RedisServer,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    monkeypatch.delenv("PYTHONPATH", raising=False)  # it may lead to the checkout
    return Project(
        tmp_path, installed, redis_url=server.url(), namespace=namespace, resume_interval_seconds="0.2"
    )


def test_everything_comes_from_the_wheel(project: Project, installed: Environment) -> None:
    files = project.run(_FILES)

    package = installed.site_packages / "agent_runtime"
    assert files == [
        str(package / name)
        for name in ("tasks/__init__.py", "worker/__init__.py", "manager/__init__.py", "beat_schedule.py")
    ]
    assert project.imported() == ""


def test_a_deletion_is_enqueued_done_by_a_worker_and_seen_from_the_command_line(project: Project) -> None:
    job_id, left = project.run(_ENQUEUE)  # type: ignore[misc]
    assert left == 1
    assert project.imported() == "beat_schedule manager tasks worker"

    with project.celery("worker", "--concurrency", "1", "--loglevel", "INFO", ready="ready.") as worker:
        watched = project.agent_sessions("jobs", "watch", job_id)
        deleted = project.run(_DELAY)
        assert worker.terminate() == 0

    shown = json.loads(project.agent_sessions("jobs", "show", job_id, "--json"))
    assert "3 sessions" in watched
    assert (shown["state"], shown["removed"]) == ("done", 3)
    assert deleted == 1
    assert project.imported() == ""  # our worker and our command have nothing to do with their modules


def test_beat_sends_its_own_schedule(project: Project) -> None:
    with project.celery("beat", "--loglevel", "INFO", ready="resume stalled jobs") as beat:
        sent = set(re.findall(r"Sending due task (.+) \(", beat.log()))

    assert "resume stalled jobs" in sent
    assert "theirs" not in sent
    assert project.imported() == ""


def test_the_version_is_that_of_the_wheel(project: Project, installed: Environment) -> None:
    (dist_info,) = installed.site_packages.glob("agent_sessions-*.dist-info")
    version = dist_info.name.removeprefix("agent_sessions-").removesuffix(".dist-info")

    assert project.agent_sessions("--version") == f"agent-sessions {version}\n"


def test_a_wrong_setting_is_named(project: Project, installed: Environment) -> None:
    with pytest.raises(AssertionError, match="AGENT_SESSIONS_TTL"):
        installed.run("import agent_runtime.tasks", project.folder, AGENT_SESSIONS_TTL=secrets.token_hex(4))
