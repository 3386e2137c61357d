"""What is said about jobs, as text."""

import re
import shlex
from datetime import datetime, timedelta

from rich.filesize import decimal

from agent_runtime.manager import JobKind, JobProgress, JobState, Preview
from agent_runtime.worker.cli.terminal.exit_status import UsageError

#: Kinds of jobs by the command that asks for one.
COMMANDS = {
    "delete-user": JobKind.DELETE_USER,
    "delete-agent": JobKind.DELETE_AGENT,
    "prune": JobKind.PRUNE,
    "sweep": JobKind.SWEEP,
}
_COMMAND_OF = {kind: command for command, kind in COMMANDS.items()}

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}

_RESULTS = {
    JobKind.DELETE_USER: "sessions deleted",
    JobKind.DELETE_AGENT: "sessions deleted",
    JobKind.PRUNE: "checkpoints removed",
    JobKind.SWEEP: "sessions swept",
}


def seconds_of(option: str, text: str | None) -> float | None:
    """What `90`, `90s`, `15m`, `2h` and `7d` mean in seconds.

    Raises:
        UsageError: the text is none of these; the message names the option.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not found:
        raise UsageError(f"{option} must be like 90, 90s, 15m, 2h or 7d, not {text!r}")
    return float(found[1]) * _SECONDS[found[2]]


def plain(text: str) -> str:
    """Text that others have chosen, without what a terminal would take for a command."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def title_of(kind: JobKind, target: str | None) -> str:
    """The command that asks for such a job, and whom it is about."""
    return _COMMAND_OF[kind] if target is None else f"{_COMMAND_OF[kind]} {plain(target)}"


def command(action: str, job_id: str) -> str:
    """What to type about a job."""
    return f"agent-sessions jobs {action} {shlex.quote(plain(job_id))}"


def moment(when: datetime | None) -> str:
    """A moment on the clock of who looks."""
    return "" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def span(length: timedelta) -> str:
    """A length of time, short: `0.4s`, `17s`, `5m`, `3h`, `12d`."""
    seconds = length.total_seconds()
    if seconds < 10:
        return f"{max(0.0, seconds):.1f}s"
    for unit, size in (("s", 1), ("m", 60), ("h", 3_600)):
        if seconds < 100 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds / 86_400:.0f}d"


def count(number: int, what: str) -> str:
    """A number with what it counts, a plural: `1 session deleted`, `1,200 sessions deleted`."""
    noun, separator, rest = what.partition(" ")
    return f"{number:,} {noun.removesuffix('s') if number == 1 else noun}{separator}{rest}"


def what_would_go(preview: Preview) -> str:
    """The counts of a preview in one line."""
    sessions, checkpoints = count(preview.sessions, "sessions"), count(preview.checkpoints, "checkpoints")
    counts = f"{checkpoints} of {sessions}" if preview.kind is JobKind.PRUNE else f"{sessions}, {checkpoints}"
    return f"{counts}, {decimal(preview.bytes)}"


def where_it_is(job: JobProgress) -> list[str]:
    """A job's state in a sentence; what to type next in a line of its own."""
    id_, removed = job.job_id, count(job.removed, _RESULTS[job.kind])
    match job.state:
        case JobState.DONE:
            took = span((job.finished_at or job.heartbeat_at) - job.requested_at)
            return [f"Done in {took}: {removed}."]
        case JobState.FAILED:
            why = plain(job.error or "")
            return [f"Failed: {why}", f"{removed} before that. To try again:", "  " + command("resume", id_)]
        case JobState.CANCELLED:
            return [f"Cancelled; {removed} before that. To go on after all:", "  " + command("resume", id_)]
        case JobState.UNDONE:
            return [f"Undone: {count(job.restored, 'sessions')} brought back."]
        case JobState.PAUSED:
            return [f"Paused; {removed} so far. To go on:", "  " + command("resume", id_)]
        case JobState.SCHEDULED:
            begins = f"Begins at {moment(job.due_at)}. To take it back before:"
            return [*_revoked(job), begins, "  " + command("undo", id_)]
    return [*_revoked(job), f"Now {job.state}. To follow it:", "  " + command("watch", id_)]


def _revoked(job: JobProgress) -> list[str]:
    if not job.kind.deletes or job.state is JobState.UNDOING:
        return []
    return [f"Revoked: {count(job.total, 'sessions')}. None of them can be read any more."]
