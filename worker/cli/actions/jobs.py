"""Listing, showing, watching and steering jobs."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from agent_runtime.manager import JobKind, JobProgress, JobState
from agent_runtime.tasks import Job
from agent_runtime.worker.cli.actions.connection import connected
from agent_runtime.worker.cli.actions.enqueue import Enqueued, enqueue
from agent_runtime.worker.cli.actions.progress import stay_with
from agent_runtime.worker.cli.terminal.exit_status import UsageError
from agent_runtime.worker.cli.terminal.formatting import COMMANDS, moment, plain, span, title_of
from agent_runtime.worker.cli.terminal.output import Output, fields

Choice = TypeVar("Choice", bound=StrEnum)


def list_jobs(
    state: str | None, kind: str | None, target: str | None, limit: int, cursor: str | None, as_json: bool
) -> None:
    out = Output(as_json)
    chosen_state = _choice("--state", state, {each.value: each for each in JobState})
    chosen_kind = _choice("--kind", kind, {**COMMANDS, **{each.value: each for each in JobKind}})
    with connected() as here:
        page = here.run(
            here.jobs.list(state=chosen_state, kind=chosen_kind, target=target, limit=limit, cursor=cursor)
        )
    headings = ("job", "what", "state", "sessions>", "removed>", "age>")
    out.result(page, out.table(headings, [_row(job) for job in page.jobs]) if page.jobs else "No jobs.")
    if page.cursor is not None:
        out.note(f"There may be more: --cursor {plain(page.cursor)}")


def show_job(job_id: str, as_json: bool) -> None:
    out = Output(as_json)
    with connected() as here:
        job = here.run(here.jobs.get(job_id).progress())
    out.result(job, fields(_details(job)))


def watch_job(job_id: str, as_json: bool) -> None:
    out = Output(as_json)
    with connected() as here:
        out.end_with(stay_with(here, here.jobs.get(job_id), out, timeout=None))


def pause_job(job_id: str, as_json: bool) -> None:
    _steer(job_id, as_json, Job.pause)


def cancel_job(job_id: str, as_json: bool) -> None:
    _steer(job_id, as_json, Job.cancel)


def undo_job(job_id: str, as_json: bool) -> None:
    _steer(job_id, as_json, Job.undo)


def resume_job(job_id: str, as_json: bool) -> None:
    out = Output(as_json)
    with connected() as here:

        async def resumed() -> Job:
            job = here.jobs.get(job_id)
            await job.resume()
            return job

        async def enqueued() -> Enqueued:
            return await enqueue(here, resumed())

        found = here.run(enqueued())
    found.warn(out)
    out.show_state(found.progress, enqueued=found.enqueued, worker_answers=found.worker_answers)


def _steer(job_id: str, as_json: bool, action: Callable[[Job], Awaitable[JobProgress]]) -> None:
    out = Output(as_json)
    with connected() as here:

        async def act() -> JobProgress:
            return await action(here.jobs.get(job_id))

        out.show_state(here.run(act()))


def _choice(option: str, text: str | None, choices: dict[str, Choice]) -> Choice | None:
    if text is None:
        return None
    if text not in choices:
        raise UsageError(f"{option} must be one of {', '.join(choices)}, not {text!r}")
    return choices[text]


def _row(job: JobProgress) -> tuple[str, ...]:
    return (
        plain(job.job_id),
        title_of(job.kind, job.target),
        job.state,
        f"{job.done}/{job.total}",
        str(job.removed),
        span(datetime.now(UTC) - job.requested_at),
    )


def _details(job: JobProgress) -> list[tuple[str, str]]:
    receipt = job.receipt
    return [
        ("job", plain(job.job_id)),
        ("what", title_of(job.kind, job.target)),
        ("state", job.state),
        ("error", plain(job.error or "")),
        ("sessions", f"{job.done:,} of {job.total:,}"),
        ("removed", f"{job.removed:,}"),
        ("restored", f"{job.restored:,}" if job.restored else ""),
        ("speed", f"{job.rate_per_second:,.0f} sessions/s" if job.rate_per_second else ""),
        ("asked by", plain(job.requested_by or "")),
        ("reason", plain(job.reason or "")),
        ("asked", moment(job.requested_at)),
        ("begins", moment(job.due_at)),
        ("began", moment(job.started_at)),
        ("last work", moment(job.heartbeat_at)),
        ("ends about", moment(job.estimated_end_at)),
        ("ended", moment(job.finished_at)),
        ("receipt", "" if receipt is None else f"number {receipt.number}, {receipt.hash}"),
    ]
