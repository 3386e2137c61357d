"""Whether sweeps are made: when one last ended, and whether the next is overdue."""

from datetime import UTC, datetime, timedelta

import typer

from agent_runtime.manager import JobKind, JobProgress, JobState, Settings
from agent_runtime.tasks import SessionJobs
from agent_runtime.worker.cli.actions.connection import connected
from agent_runtime.worker.cli.terminal.exit_status import DONE, FAILED
from agent_runtime.worker.cli.terminal.formatting import count, moment, span
from agent_runtime.worker.cli.terminal.output import Output, fields

#: So many periods without a sweep are too many: a tick of Beat may be late, and a sweep takes a while.
_OVERDUE_AFTER_PERIODS = 3


def show_status(as_json: bool) -> None:
    out = Output(as_json)
    with connected() as here:
        settings = here.manager.settings
        newest = here.run(_newest(here.jobs, None))
        last = here.run(_newest(here.jobs, JobState.DONE))
    since = datetime.now(UTC) - last.finished_at if last and last.finished_at else None
    running = newest is not None and _is_at_work(newest, settings)
    every = timedelta(seconds=settings.sweep_interval_seconds)
    overdue = not running and (since is None or since > _OVERDUE_AFTER_PERIODS * every)
    document = {
        "last_sweep": last.model_dump(mode="json") if last else None,
        "seconds_since_last_sweep": since.total_seconds() if since else None,
        "sweep_interval_seconds": settings.sweep_interval_seconds,
        "sweep_running": running,
        "sweep_overdue": overdue,
    }
    out.result(document, fields(_shown(last, since, every, running)), _verdict(since, overdue))
    raise typer.Exit(FAILED if overdue else DONE)


async def _newest(jobs: SessionJobs, state: JobState | None) -> JobProgress | None:
    page = await jobs.list(kind=JobKind.SWEEP, state=state, limit=1)
    return page.jobs[0] if page.jobs else None


def _is_at_work(sweep: JobProgress, settings: Settings) -> bool:
    """Rather than waiting for a worker, or left by one that died."""
    silence = (datetime.now(UTC) - sweep.heartbeat_at).total_seconds()
    patience = settings.stalled_after_seconds + settings.resume_interval_seconds
    return sweep.state is JobState.RUNNING and silence < patience


def _shown(
    last: JobProgress | None, since: timedelta | None, every: timedelta, running: bool
) -> list[tuple[str, str]]:
    ended = f"{moment(last.finished_at)}, {span(since)} ago" if last and since is not None else ""
    return [
        ("last sweep", ended or "none is on record"),
        ("it found", count(last.removed, "sessions") if last else ""),
        ("one is due", f"every {span(every)}"),
        ("now", "one is at work" if running else ""),
    ]


def _verdict(since: timedelta | None, overdue: bool) -> str:
    if not overdue:
        return "Sweeps are on time."
    how_long = "on record" if since is None else f"has ended for {span(since)}"
    return f"Overdue: no sweep {how_long}. Are Beat and a worker for the queue maintenance running?"
