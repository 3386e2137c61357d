"""`agent-sessions` without a worker, a broker or a server, and with wrong arguments and settings."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.manager import SessionManager, Settings
from tests.support.cli import run_all, run_cli, run_on_terminal
from tests.support.redis_server import RedisServer, free_port
from tests.support.sessions import create_sessions


@pytest.fixture
def settings(server: RedisServer, namespace: str) -> Settings:
    # No worker reads this database of the broker.
    return Settings(redis_url=server.url(), namespace=namespace, broker_url=server.url(9))


@pytest.fixture
def alone(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(include={"redis_url", "namespace", "broker_url"})


@pytest.fixture
def without_broker(alone: dict[str, Any]) -> dict[str, Any]:
    return {**alone, "broker_url": f"redis://127.0.0.1:{free_port()}/0"}


async def test_without_a_worker_it_shows_how_to_start_one_and_waits(
    manager: SessionManager, alone: dict[str, Any]
) -> None:
    await create_sessions(manager, 5)
    await create_sessions(manager, 2, "bob")

    left, stayed = await run_all(
        ["delete-user", "ann", "--yes"],
        ["delete-user", "bob", "--yes", "--wait", "--timeout", "0.2"],
        **alone,
    )

    assert (left.status, stayed.status) == (0, 1)
    for ended in (left, stayed):
        assert "No worker answers" in ended.err
        assert "celery -A agent_runtime worker" in ended.err
    assert "Revoked 5 sessions, which nobody can read any more." in left.out
    assert stayed.err.index("No worker answers") < stayed.err.index("still queued after 0.2 s")
    assert "agent-sessions jobs watch job_" in stayed.err
    assert await manager.get_active_session_count() == 0


@pytest.mark.parametrize("user", ["[red]ann", "[/ann]"])
async def test_a_bar_shows_a_name_as_it_is(manager: SessionManager, alone: dict[str, Any], user: str) -> None:
    job_id = await manager.revoke_user_sessions(user)
    ended = run_on_terminal("jobs", "watch", job_id, **alone)
    assert ended.status == 0
    assert f"delete-user {user}: done" in ended.out


async def test_ctrl_c_ends_the_wait_and_not_the_job(
    manager: SessionManager, without_broker: dict[str, Any]
) -> None:
    await create_sessions(manager, 5)
    arguments = ("delete-user", "ann", "--yes", "--wait")

    ended = run_on_terminal(*arguments, when="0/5", types=b"\x03", **without_broker)

    assert ended.status == 130
    assert ended.out.endswith("Interrupted.\n")
    assert "The job continues without this command" in ended.out


async def test_a_broker_that_is_down_is_no_failure_and_does_not_end_the_wait(
    manager: SessionManager, without_broker: dict[str, Any]
) -> None:
    await create_sessions(manager, 5)
    await create_sessions(manager, 2, "bob")

    left, stayed = await run_all(
        ["delete-user", "ann", "--yes", "--json"],
        ["delete-user", "bob", "--yes", "--wait", "--timeout", "0.2"],
        **without_broker,
    )

    job = left.document()
    assert (left.status, job["state"], job["total"], job["enqueued"]) == (0, "queued", 5, False)
    assert (stayed.status, "still queued after 0.2 s" in stayed.err) == (1, True)
    for ended in (left, stayed):
        assert "The sessions are revoked already" in ended.err
        assert "Beat's task resume_stalled_jobs enqueues it" in ended.err
    assert await manager.get_active_session_count() == 0
    await manager.jobs.control(job["job_id"], "pause")
    resumed = run_cli("jobs", "resume", job["job_id"], **without_broker)
    assert (resumed.status, "The broker did not accept the message" in resumed.err) == (0, True)


def test_a_server_that_is_down_is_one_clear_line() -> None:
    ended = run_cli("jobs", "list", "--json", redis_url=f"redis://127.0.0.1:{free_port()}")

    assert (ended.status, ended.document()["kind"]) == (1, "StoreUnavailableError")
    assert len(ended.err.splitlines()) == 1
    assert "AGENT_SESSIONS_REDIS_URL" in ended.err


_WRONG_ARGUMENTS = {
    "jobs show job_unknown": "job 'job_unknown' not found",
    "jobs show caf\udce9": "job_id must be valid Unicode",
    "jobs list --cursor 1:caf\udce9": "cursor must be valid Unicode",
    "jobs list --state asleep": "--state must be one of scheduled, queued",
    "jobs list --cursor x": "cursor must be of an earlier page",
    "prune --yes": "prune needs --keep-last or --older-than",
    "prune --keep-last 1 --session a --agent b": "--session or --agent, not both",
    "prune --older-than week --yes": "--older-than must be like 90, 90s, 15m, 2h or 7d",
    "prune --keep-last -1 --yes": "keep_last must be a whole number of at least 0",
    "sweep --yes --timeout 5": "--timeout needs --wait",
    "sweep --unknown": "No such option",
}


async def test_wrong_arguments_are_named(alone: dict[str, Any]) -> None:
    """The shell hands over a byte that is no UTF-8 as half a surrogate."""
    runs = await run_all(*(typed.split() for typed in _WRONG_ARGUMENTS), **alone)

    for ended, message in zip(runs, _WRONG_ARGUMENTS.values(), strict=True):
        assert (ended.status, ended.out) == (2, "")
        assert message in ended.err


@pytest.mark.parametrize(("name", "value"), [("partitions", "none"), ("redis_url", "nonsense")])
def test_a_wrong_setting_is_named_with_its_variable(name: str, value: str) -> None:
    ended = run_cli("jobs", "list", **{name: value})

    assert ended.status == 2
    assert f"AGENT_SESSIONS_{name.upper()}" in ended.err


async def test_empty_lists_say_so(alone: dict[str, Any]) -> None:
    jobs, receipts, chain = await run_all(
        ["jobs", "list"], ["receipts", "list"], ["receipts", "verify"], **alone
    )

    assert (jobs.out, receipts.out) == ("No jobs.\n", "No receipts.\n")
    assert (chain.status, chain.out) == (0, "No receipts. The chain is valid.\n")


async def test_every_command_has_help_with_an_example_whatever_the_settings() -> None:
    commands = ["delete-user", "delete-agent", "prune", "sweep", "erase-user-key"]
    commands += ["jobs undo", "receipts verify", "status"]
    alone, whole, jobs, *helps = await run_all(
        [], ["--help"], ["jobs"], *([*command.split(), "--help"] for command in commands), partitions="none"
    )

    assert (alone.status, alone.out) == (0, whole.out)
    assert "undo" in jobs.out
    for command, shown in zip(commands, helps, strict=True):
        assert f"Example: agent-sessions {command}" in shown.out


def test_the_installed_program_prints_its_version() -> None:
    program = Path(sys.executable).parent / "agent-sessions"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)

    assert done.stdout == f"agent-sessions {version('agent-sessions')}\n"
