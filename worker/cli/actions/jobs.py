"""List, show, watch and control jobs."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from humanize import naturaldelta

from agent_runtime.manager.jobs import JobKind, JobProgress, JobState
from agent_runtime.tasks import Job
from agent_runtime.worker.cli.actions.connection import connect
from agent_runtime.worker.cli.actions.enqueue import enqueue
from agent_runtime.worker.cli.actions.progress import watch_to_end
from agent_runtime.worker.cli.terminal.exit_status import UsageError
from agent_runtime.worker.cli.terminal.formatting import COMMANDS, command_of, local_time, plain
from agent_runtime.worker.cli.terminal.output import Output, fields

Choice = TypeVar("Choice", bound=StrEnum)


def list_(
    state: str | None, kind: str | None, target: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    out = Output(as_json)
    chosen_state = _choice("--state", state, {each.value: each for each in JobState})
    chosen_kind = _choice("--kind", kind, {**COMMANDS, **{each.value: each for each in JobKind}})
    with connect() as connection:
        jobs = connection.jobs
        page = connection.run(
            jobs.list(state=chosen_state, kind=chosen_kind, target=target, limit=limit, cursor=cursor)
        )
    headings = ("job", "command", "state", "sessions>", "age>")
    rows = [_row(job) for job in page.jobs]
    out.result(page, out.table(headings, rows, shrink="command") if rows else "No jobs.")
    if page.cursor is not None:
        out.note(f"There may be more: --cursor {plain(page.cursor)}")


def show(job_id: str, as_json: bool) -> None:
    out = Output(as_json)
    with connect() as connection:
        job = connection.run(connection.jobs.get(job_id).progress())
    out.result(job, fields(_details(job)))


def watch(job_id: str, as_json: bool) -> None:
    out = Output(as_json)
    with connect() as connection:
        out.finish(watch_to_end(connection, connection.jobs.get(job_id), out, timeout=None))


def pause(job_id: str, as_json: bool) -> None:
    _control(job_id, as_json, Job.pause)


def cancel(job_id: str, as_json: bool) -> None:
    _control(job_id, as_json, Job.cancel)


def undo(job_id: str, as_json: bool) -> None:
    _control(job_id, as_json, Job.undo)


def resume(job_id: str, as_json: bool) -> None:
    out = Output(as_json)
    with connect() as connection:

        async def resumed() -> Job:
            job = connection.jobs.get(job_id)
            await job.resume()
            return job

        enqueued = connection.run(enqueue(connection, resumed()))
    enqueued.warn(out)
    out.show_state(enqueued.progress, enqueued=enqueued.enqueued, worker_answers=enqueued.worker_answers)


def _control(job_id: str, as_json: bool, action: Callable[[Job], Awaitable[JobProgress]]) -> None:
    out = Output(as_json)
    with connect() as connection:

        async def act() -> JobProgress:
            return await action(connection.jobs.get(job_id))

        out.show_state(connection.run(act()))


def _choice(option: str, text: str | None, choices: dict[str, Choice]) -> Choice | None:
    if text is None:
        return None
    if text not in choices:
        raise UsageError(f"{option} must be one of {', '.join(choices)}, not {text!r}")
    return choices[text]


def _row(job: JobProgress) -> tuple[str, ...]:
    running = job.state is JobState.RUNNING
    return (
        plain(job.job_id),
        command_of(job.kind, job.target),
        f"{job.state} {min(job.done / job.total, 1):.0%}" if running and job.total else job.state,
        f"{job.total:,}",
        naturaldelta(datetime.now(UTC) - job.requested_at),
    )


def _details(job: JobProgress) -> list[tuple[str, str]]:
    receipt = job.receipt
    return [
        ("job", plain(job.job_id)),
        ("command", command_of(job.kind, job.target)),
        ("state", job.state),
        ("error", plain(job.error or "")),
        ("sessions", f"{job.done:,} of {job.total:,}"),
        ("removed", f"{job.removed:,}"),
        ("restored", f"{job.restored:,}" if job.restored else ""),
        ("unreadable", f"{job.damaged:,} (agent-sessions check)" if job.damaged else ""),
        ("speed", f"{job.rate_per_second:,.0f} sessions/s" if job.rate_per_second else ""),
        ("requested by", plain(job.requested_by or "")),
        ("reason", plain(job.reason or "")),
        ("requested", local_time(job.requested_at)),
        ("due", local_time(job.due_at)),
        ("started", local_time(job.started_at)),
        ("last progress", local_time(job.heartbeat_at)),
        ("estimated end", local_time(job.estimated_end_at)),
        ("finished", local_time(job.finished_at)),
        ("receipt", "" if receipt is None else f"number {receipt.number}, {receipt.hash}"),
    ]
