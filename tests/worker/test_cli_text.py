"""The words of the command line: durations, counts, sizes, and the options that commands share."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from agent_runtime.manager.jobs import JobKind, JobProgress, JobState, Preview
from agent_runtime.worker.cli.commands.options import RequestOptions, with_request_options
from agent_runtime.worker.cli.program import program
from agent_runtime.worker.cli.terminal.formatting import (
    count,
    describe_preview,
    describe_state,
    duration,
    local_time,
    plain,
    seconds_of,
)
from tests.support.processes import ROOT, run_program

_BULK_COMMANDS = ["delete-user", "delete-agent", "prune", "sweep"]


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=-1), "0 seconds"),
        (timedelta(seconds=0.4), "0.4 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=17.4), "17 seconds"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=2, seconds=5.4), "2 minutes and 5 seconds"),
        (timedelta(hours=3, minutes=12, seconds=9), "3 hours and 12 minutes"),
        (timedelta(days=9), "9 days"),
    ],
)
def test_a_duration_is_told_in_words(length: timedelta, words: str) -> None:
    assert duration(length) == words


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [(None, None), ("90", 90), ("90s", 90), ("1.5h", 5_400), ("15m", 900), ("2h", 7_200), ("7d", 604_800)],
)
def test_a_typed_duration_is_read(typed: str | None, seconds: float | None) -> None:
    assert seconds_of("--grace", typed) == seconds


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 sessions"), (1, "1 session"), (2, "2 sessions"), (1_200, "1,200 sessions")]
)
def test_a_count_agrees_with_its_noun(number: int, words: str) -> None:
    assert count(number, "session", "sessions") == words


def test_a_preview_is_told_in_one_line() -> None:
    deletion = Preview(
        kind=JobKind.DELETE_USER,
        target="ann",
        sessions=1,
        checkpoints=1_500,
        affected=1,
        bytes=123_456,
        sample=[],
    )
    pruning = deletion.model_copy(update={"kind": JobKind.PRUNE})
    assert describe_preview(deletion) == "1 session with 1,500 checkpoints (123.5 kB)"
    assert describe_preview(pruning) == "1,500 checkpoints of 1 session (123.5 kB)"


def _job(state: JobState, **changes: object) -> JobProgress:
    """Return a job on one session that took 0.2 s."""
    requested_at = datetime(2026, 11, 22, 14, 8, 6, tzinfo=UTC)
    job = JobProgress(
        job_id="job_1",
        kind=JobKind.DELETE_USER,
        target="ann",
        state=state,
        total=1,
        done=1,
        removed=1,
        requested_at=requested_at,
        heartbeat_at=requested_at + timedelta(seconds=0.2),
    )
    return job.model_copy(update=changes)


@pytest.mark.parametrize(
    ("job", "lines"),
    [
        (_job(JobState.DONE), ["Done in 0.2 seconds: 1 session deleted."]),
        (
            _job(JobState.QUEUED),
            [
                "Revoked 1 session, which nobody can read any more.",
                "The job is queued. To watch it:",
                "  agent-sessions jobs watch job_1",
            ],
        ),
        (
            _job(JobState.FAILED, error="out of\x1b memory", removed=0),
            [
                "Failed: out of\\x1b memory",
                "Before that: 0 sessions deleted. To try again:",
                "  agent-sessions jobs resume job_1",
            ],
        ),
        (_job(JobState.UNDONE, restored=2), ["Undone: 2 sessions restored."]),
        (
            _job(JobState.PAUSED, kind=JobKind.PRUNE),
            ["Paused; so far: 1 checkpoint removed. To continue:", "  agent-sessions jobs resume job_1"],
        ),
    ],
    ids=lambda value: value.state if isinstance(value, JobProgress) else "",
)
def test_a_state_is_told_with_the_next_command(job: JobProgress, lines: list[str]) -> None:
    assert describe_state(job) == lines


def test_no_time_and_no_control_characters_are_shown() -> None:
    assert local_time(None) == ""
    assert plain("ann\x1b[2J") == "ann\\x1b[2J"


@pytest.mark.parametrize("command", _BULK_COMMANDS)
def test_each_command_that_enqueues_a_job_has_all_of_its_options(command: str) -> None:
    shown = CliRunner().invoke(program, [command, "--help"]).output
    names = {each.name.removeprefix("as_").replace("_", "-") for each in fields(RequestOptions)}
    assert [name for name in sorted(names) if f"  --{name} " not in shown] == []


def test_the_shared_options_come_behind_those_of_the_command_and_reach_it_together() -> None:
    given: list[object] = []

    @with_request_options
    def command(options: RequestOptions, user_id: str) -> None:
        """Do it."""
        given.extend((options, user_id))

    names = [each.name for each in fields(RequestOptions)]
    assert list(inspect.signature(command).parameters) == ["user_id", *names]
    assert (command.__name__, command.__doc__) == ("command", "Do it.")
    command(user_id="ann", **asdict(RequestOptions(yes=True)))
    assert given == [RequestOptions(yes=True), "ann"]


def test_every_command_and_option_is_documented_and_no_other() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    commands = dict(_commands(typer.main.get_command(program), "agent-sessions"))
    options = {name for command in commands.values() for option in command.params for name in option.opts}
    named = {name for name in options if name.startswith("--")} - {"--version"}
    assert {name for name in named if name not in page} == set()
    assert set(re.findall(r"--[a-z][a-z-]*", page)) - named == {"--help"}
    missing = [path for path in commands if not re.search(_as_documented(path), page)]
    assert missing == []


def _as_documented(path: str) -> str:
    """Return a pattern for `agent-sessions jobs list`, also as one of `list | show ID` behind its group."""
    *group, name = path.split()
    return rf"{' '.join(group)} (?:.*\| )?{name}\b"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    subcommands = getattr(command, "commands", None)
    if subcommands is None:
        yield path, command
        return
    for name, subcommand in subcommands.items():
        yield from _commands(subcommand, f"{path} {name}")


def test_help_imports_nothing_heavy() -> None:
    heavy = ["celery", "cryptography", "humanize", "pydantic", "redis"]
    code = (
        "import json, sys; from agent_runtime.worker.cli.program import program;"
        f" print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    assert run_program(code) == []
