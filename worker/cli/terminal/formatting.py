"""Jobs, numbers and times as text."""

import re
import shlex
from datetime import datetime, timedelta
from gettext import ngettext

from humanize import naturalsize, precisedelta

from agent_runtime.manager.jobs import JobKind, JobProgress, JobSpec, JobState, Preview
from agent_runtime.worker.cli.terminal.exit_status import UsageError

#: The kind of job that each command enqueues.
COMMANDS = {
    "delete-user": JobKind.DELETE_USER,
    "delete-agent": JobKind.DELETE_AGENT,
    "prune": JobKind.PRUNE,
    "sweep": JobKind.SWEEP,
}
_COMMAND_OF = {kind: command for command, kind in COMMANDS.items()}

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds_of(option: str, text: str | None) -> float | None:
    """Return the seconds that `90`, `90s`, `15m`, `2h` or `7d` stands for, or None for None.

    Raises:
        UsageError: the text is no duration; the message names the option.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not found:
        raise UsageError(f"{option} must be like 90, 90s, 15m, 2h or 7d, not {text!r}")
    return float(found[1]) * _SECONDS[found[2]]


def plain(text: str) -> str:
    """Escape characters of the text that a terminal would take for a command."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def command_of(kind: JobKind, target: str | None) -> str:
    """Return the command that enqueues such a job, with its target: `delete-user user_123`."""
    return _COMMAND_OF[kind] if target is None else f"{_COMMAND_OF[kind]} {plain(target)}"


def command_on(action: str, job_id: str) -> str:
    """Return the command line for an action on a job."""
    return f"agent-sessions jobs {action} {shlex.quote(plain(job_id))}"


def local_time(moment: datetime | None) -> str:
    """Return date and time in the user's time zone, or '' for None."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def duration(length: timedelta) -> str:
    """Return a length of time in words: `0.4 seconds`, `2 minutes and 5 seconds`, `3 hours`."""
    length = max(length, timedelta())
    unit = "seconds" if length < timedelta(hours=1) else "minutes"
    return precisedelta(
        length, minimum_unit=unit, format="%.1f" if length < timedelta(seconds=10) else "%.0f"
    )


def count(number: int, singular: str, plural: str) -> str:
    """Return the number with the noun that it counts: `1 session`, `1,200 sessions`."""
    return f"{number:,} {ngettext(singular, plural, number)}"


def describe_preview(preview: Preview) -> str:
    """Return the counts of a preview in one line."""
    sessions = count(preview.sessions, "session", "sessions")
    checkpoints = count(preview.checkpoints, "checkpoint", "checkpoints")
    if JobSpec.of(preview.kind).unit == "checkpoint":
        return f"{checkpoints} of {sessions} ({naturalsize(preview.bytes)})"
    return f"{sessions} with {checkpoints} ({naturalsize(preview.bytes)})"


def describe_state(job: JobProgress) -> list[str]:
    """Return a job's state in a sentence, and the command to type next on a line of its own."""
    spec, id_ = JobSpec.of(job.kind), job.job_id
    removed = count(job.removed, f"{spec.unit} {spec.past}", f"{spec.unit}s {spec.past}")
    match job.state:
        case JobState.DONE:
            took = duration((job.finished_at or job.heartbeat_at) - job.requested_at)
            return [f"Done in {took}: {removed}."]
        case JobState.FAILED:
            why = plain(job.error or "")
            return [
                f"Failed: {why}",
                f"Before that: {removed}. To try again:",
                "  " + command_on("resume", id_),
            ]
        case JobState.CANCELLED:
            return [f"Cancelled; before that: {removed}. To continue:", "  " + command_on("resume", id_)]
        case JobState.UNDONE:
            return [f"Undone: {count(job.restored, 'session', 'sessions')} restored."]
        case JobState.PAUSED:
            return [f"Paused; so far: {removed}. To continue:", "  " + command_on("resume", id_)]
        case JobState.SCHEDULED:
            starts = f"The job starts at {local_time(job.due_at)}. To undo it before then:"
            return [*_revoked(job), starts, "  " + command_on("undo", id_)]
    return [*_revoked(job), f"The job is {job.state}. To watch it:", "  " + command_on("watch", id_)]


def _revoked(job: JobProgress) -> list[str]:
    if not JobSpec.of(job.kind).deletes or job.state is JobState.UNDOING:
        return []
    return [f"Revoked {count(job.total, 'session', 'sessions')}, which nobody can read any more."]
