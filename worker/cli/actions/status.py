"""Show when the last sweep ended, and if the next one is overdue."""

from datetime import UTC, datetime, timedelta

import typer
from humanize import naturaltime

from agent_runtime.manager import Settings
from agent_runtime.manager.jobs import JobKind, JobProgress, JobState
from agent_runtime.tasks import SessionJobs
from agent_runtime.worker.cli.actions.connection import connect
from agent_runtime.worker.cli.terminal.exit_status import FAILURE, SUCCESS
from agent_runtime.worker.cli.terminal.formatting import count, duration, local_time
from agent_runtime.worker.cli.terminal.output import Output, fields

#: A sweep is overdue after so many intervals: a tick of Beat may be late, and a sweep takes a while.
_OVERDUE_AFTER_INTERVALS = 3


def status(as_json: bool) -> None:
    out = Output(as_json)
    with connect() as connection:
        settings = connection.manager.settings
        newest = connection.run(_newest(connection.jobs, None))
        last = connection.run(_newest(connection.jobs, JobState.DONE))
    since = datetime.now(UTC) - last.finished_at if last and last.finished_at else None
    running = newest is not None and _is_running(newest, settings)
    interval = timedelta(seconds=settings.sweep_interval_seconds)
    overdue = not running and (since is None or since > _OVERDUE_AFTER_INTERVALS * interval)
    document = {
        "last_sweep": last.model_dump(mode="json") if last else None,
        "seconds_since_last_sweep": since.total_seconds() if since else None,
        "sweep_interval_seconds": settings.sweep_interval_seconds,
        "sweep_running": running,
        "sweep_overdue": overdue,
    }
    out.result(document, fields(_rows(last, since, interval, running)), _verdict(since, overdue))
    raise typer.Exit(FAILURE if overdue else SUCCESS)


async def _newest(jobs: SessionJobs, state: JobState | None) -> JobProgress | None:
    page = await jobs.list(kind=JobKind.SWEEP, state=state, limit=1)
    return page.jobs[0] if page.jobs else None


def _is_running(sweep: JobProgress, settings: Settings) -> bool:
    """Return False if the sweep waits for a worker, or if its worker has died."""
    silence = (datetime.now(UTC) - sweep.heartbeat_at).total_seconds()
    patience = settings.stalled_after_seconds + settings.resume_interval_seconds
    return sweep.state is JobState.RUNNING and silence < patience


def _rows(
    last: JobProgress | None, since: timedelta | None, interval: timedelta, running: bool
) -> list[tuple[str, str]]:
    ended = f"{local_time(last.finished_at)}, {naturaltime(since)}" if last and since is not None else "never"
    return [
        ("last sweep", ended),
        ("swept", count(last.removed, "session", "sessions") if last else ""),
        ("interval", duration(interval)),
        ("state", "a sweep is running" if running else ""),
    ]


def _verdict(since: timedelta | None, overdue: bool) -> str:
    if not overdue:
        return "Sweeps are on time."
    ended = "no sweep has ended yet" if since is None else f"the last sweep ended {naturaltime(since)}"
    return f"Overdue: {ended}. Check that Beat and a worker of the queue maintenance are running."
