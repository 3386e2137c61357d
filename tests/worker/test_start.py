"""`celery -A agent_runtime worker`, `beat` and `flower`, and the same in a checkout with `-A worker`."""

import re
import socket
import urllib.request
from typing import Any

import pytest

from agent_runtime.manager import Settings
from agent_runtime.tasks.celery_config import BULK_QUEUE
from agent_runtime.tasks.publisher import Publisher
from tests.support.processes import CeleryProcess, celery_worker, run_program
from tests.support.redis_server import RedisServer, free_port
from tests.support.wait_until import wait_until_blocking

_COMMANDS = [("worker", "ready."), ("beat", "beat: Waking up")]


@pytest.mark.parametrize(("command", "ready"), _COMMANDS)
def test_a_process_starts_as_typed_and_ends_cleanly_on_sigterm(
    process_settings: dict[str, Any], spelling: dict[str, Any], command: str, ready: str
) -> None:
    arguments = (command, "--loglevel", "DEBUG")
    with CeleryProcess(*arguments, ready=ready, **spelling, **process_settings) as process:
        assert process.terminate() == 0


def test_a_worker_survives_what_is_no_message(
    server: RedisServer, process_settings: dict[str, Any], spelling: dict[str, Any]
) -> None:
    """Celery's own consumer ends the process."""
    arguments = ("worker", "--loglevel", "INFO")
    with (
        server.client(db=1) as broker,
        CeleryProcess(*arguments, ready="ready.", **spelling, **process_settings) as worker,
    ):
        broker.lpush(BULK_QUEUE, "not an envelope")
        wait_until_blocking(lambda: not broker.llen(BULK_QUEUE), description="the text to be taken")
        task = Publisher(Settings(**process_settings))._app.send_task(
            "tasks.resume_stalled_jobs", queue=BULK_QUEUE
        )
        assert worker.wait_for(f"[{task.id}] succeeded")
        assert worker.running


def test_a_worker_told_to_stop_before_it_heard_that_a_task_has_begun_ends_when_that_is_done(
    process_settings: dict[str, object],
) -> None:
    """Celery 5.7.0 then forgets the task, and its process waits for 30 s to be heard."""
    with celery_worker(app="tests.support.deaf", **process_settings) as worker:
        Publisher(Settings(**process_settings))._app.send_task("tasks.resume_stalled_jobs", queue=BULK_QUEUE)
        worker.wait_for("tasks.resume_stalled_jobs")
        wait_until_blocking(lambda: "succeeded" in worker.log(), description="the task to be done")
        assert worker.terminate(timeout=20) == 0


def test_beat_has_workers_sweep_and_look_for_stalled_jobs(process_settings: dict[str, object]) -> None:
    settings = {**process_settings, "sweep_interval_seconds": 0.2, "resume_interval_seconds": 0.2}
    with (
        CeleryProcess("worker", "--loglevel", "INFO", ready="ready.", **settings) as worker,
        CeleryProcess("beat", "--loglevel", "INFO", **settings),
    ):
        for task in ("tasks.cleanup_expired_sessions", "tasks.resume_stalled_jobs"):
            wait_until_blocking(
                lambda task=task: re.search(rf"Task {task}\[\S+ succeeded", worker.log()),
                description=f"{task} to have run",
            )


def test_beat_prunes_only_where_a_policy_is_set(process_settings: dict[str, object]) -> None:
    code = "import json, beat_schedule; print(json.dumps(beat_schedule.BEAT_SCHEDULE))"

    without = run_program(code, **process_settings)
    schedule = run_program(code, **process_settings, prune_keep_last=5, prune_interval_seconds=60)

    assert "prune checkpoints" not in without
    assert schedule["prune checkpoints"] == {
        "task": "tasks.prune_checkpoints",
        "schedule": 60.0,
        "kwargs": {"keep_last": 5, "older_than": None, "except_agents": []},
        "options": {"expires": 60.0},
    }


def test_beat_prunes_single_agents_by_limits_of_their_own(process_settings: dict[str, object]) -> None:
    code = "import json, beat_schedule; print(json.dumps(beat_schedule.BEAT_SCHEDULE))"
    limits = '[{"agent_id": "coder", "keep_last": 50}, {"agent_id": "chat", "older_than_seconds": 60}]'

    schedule = run_program(code, **process_settings, prune_keep_last=5, prune_agents=limits)

    pruned = {name: entry["kwargs"] for name, entry in schedule.items() if name.startswith("prune")}
    assert pruned == {
        "prune checkpoints": {"keep_last": 5, "older_than": None, "except_agents": ["coder", "chat"]},
        "prune checkpoints of coder": {"agent_id": "coder", "keep_last": 50, "older_than": None},
        "prune checkpoints of chat": {"agent_id": "chat", "keep_last": None, "older_than": 60.0},
    }


def test_flower_answers_on_loopback_only(process_settings: dict[str, Any], spelling: dict[str, Any]) -> None:
    port = free_port()
    with CeleryProcess("flower", f"--port={port}", ready="Visit me at", **spelling, **process_settings):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            assert page.status == 200
        with socket.socket() as probe, pytest.raises(OSError, match="refused"):
            # 127.0.0.2 is this machine too: a server on all interfaces would answer here.
            probe.connect(("127.0.0.2", port))


def test_flower_without_a_password_does_not_start_on_another_address(
    process_settings: dict[str, Any], spelling: dict[str, Any]
) -> None:
    with CeleryProcess("flower", "--address=0.0.0.0", **spelling, **process_settings) as process:
        assert process.wait() == 1
        assert "agent-sessions cannot start Flower: " in process.log()


@pytest.mark.parametrize("command", ["worker", "beat"])
class TestAnUnfitServer:
    def test_that_does_not_answer_is_named(self, spelling: dict[str, Any], command: str) -> None:
        port = free_port()
        url = f"redis://:secret@127.0.0.1:{port}/0"
        with CeleryProcess(command, **spelling, redis_url=url) as process:
            assert process.wait() == 1
            assert f"the server at redis://127.0.0.1:{port}/0 does not answer" in process.log()
            assert "secret" not in process.log()

    def test_that_would_evict_sessions_is_named(self, command: str) -> None:
        config = ("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
        with RedisServer(config=config) as server, CeleryProcess(command, redis_url=server.url()) as process:
            assert process.wait() == 1
            assert "set it to noeviction" in process.log()

    def test_that_has_no_database_for_the_broker_is_named(self, command: str) -> None:
        with (
            RedisServer(config=("--databases", "1")) as server,
            CeleryProcess(command, redis_url=server.url()) as process,
        ):
            assert process.wait() == 1
            assert f"the server at {server.url(1)} refused: DB index is out of range" in process.log()

    def test_that_refuses_the_password_is_named(self, command: str) -> None:
        with RedisServer(config=("--requirepass", "right")) as server:
            url = server.url().replace("redis://", "redis://:wrong@")
            with CeleryProcess(command, redis_url=url) as process:
                assert process.wait() == 1
                assert "refused the credentials" in process.log()


def test_a_setting_that_is_wrong_is_named_with_its_variable() -> None:
    with CeleryProcess("worker", partitions="none") as process:
        assert process.wait() != 0
        assert "AGENT_SESSIONS_PARTITIONS='none'" in process.log()
