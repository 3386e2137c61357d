"""Asking for a job: dry run, question, enqueuing, and staying until it ends."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

from rich.filesize import decimal

from agent_runtime.manager import JobOptions, Preview
from agent_runtime.tasks import Job, SessionJobs
from agent_runtime.worker.cli.actions.connection import Connection, connected
from agent_runtime.worker.cli.actions.enqueue import Enqueued, enqueue
from agent_runtime.worker.cli.actions.progress import stay_with
from agent_runtime.worker.cli.commands.options import Conduct
from agent_runtime.worker.cli.terminal.confirm import confirm, need_somebody
from agent_runtime.worker.cli.terminal.exit_status import RefusedError, UsageError
from agent_runtime.worker.cli.terminal.formatting import plain, seconds_of, title_of, what_would_go
from agent_runtime.worker.cli.terminal.output import Output, fields


class Request(NamedTuple):
    """A job to ask for, and its preview."""

    preview: Callable[[SessionJobs], Awaitable[Preview]]
    enqueue: Callable[[SessionJobs, JobOptions], Awaitable[Job]]


def user_deletion(user_id: str) -> Request:
    return Request(
        lambda jobs: jobs.preview_user_deletion(user_id),
        lambda jobs, options: jobs.delete_user_sessions(user_id, **options),
    )


def agent_deletion(agent_id: str) -> Request:
    return Request(
        lambda jobs: jobs.preview_agent_deletion(agent_id),
        lambda jobs, options: jobs.delete_agent_sessions(agent_id, **options),
    )


def pruning(
    session_id: str | None, agent_id: str | None, keep_last: int | None, older_than: str | None
) -> Request:
    age = seconds_of("--older-than", older_than)
    if keep_last is None and age is None:
        raise UsageError("prune needs --keep-last or --older-than, or both")
    if session_id is not None and agent_id is not None:
        raise UsageError("prune takes --session or --agent, not both")
    return Request(
        lambda jobs: jobs.preview_pruning(session_id, agent_id, keep_last, age),
        lambda jobs, options: jobs.prune_checkpoints(session_id, agent_id, keep_last, age, **options),
    )


def expired_sweep() -> Request:
    return Request(
        lambda jobs: jobs.preview_sweep(),
        lambda jobs, options: jobs.cleanup_expired_sessions(**options),
    )


def ask_for(request: Request, conduct: Conduct) -> None:
    """Carries the request out."""
    out = Output(conduct.as_json)
    options, timeout = _options(conduct), seconds_of("--timeout", conduct.timeout)
    if timeout is not None and not conduct.wait:
        raise UsageError("--timeout goes with --wait")
    asks = not (conduct.yes or conduct.dry_run)
    if asks:
        need_somebody(conduct.as_json, "--yes, or --dry-run to see what would go")
    with connected() as here:
        if conduct.dry_run or asks:
            with out.stderr.status("Counting"):
                preview = here.run(_preview(here, request))
            _check_number(preview, conduct)
        if conduct.dry_run:
            _show(preview, out)
            return
        if asks:
            confirm(out, f"{title_of(preview.kind, preview.target)}: {what_would_go(preview)} would go.")
        enqueued = here.run(_enqueue(here, request, options))
        enqueued.warn(out)
        progress = enqueued.progress
        if conduct.wait:
            progress = stay_with(here, enqueued.job, out, timeout)
        out.end_with(progress, enqueued=enqueued.enqueued, worker_answers=enqueued.worker_answers)


def _options(conduct: Conduct) -> JobOptions:
    options: dict[str, Any] = {
        "grace": seconds_of("--grace", conduct.grace),
        "max_affected": conduct.max_affected,
        "requested_by": conduct.requested_by,
        "reason": conduct.reason,
        "idempotency_key": conduct.idempotency_key,
    }
    return cast(JobOptions, {name: value for name, value in options.items() if value is not None})


async def _enqueue(here: Connection, request: Request, options: JobOptions) -> Enqueued:
    return await enqueue(here, request.enqueue(here.jobs, options))


async def _preview(here: Connection, request: Request) -> Preview:
    return await request.preview(here.jobs)


def _check_number(preview: Preview, conduct: Conduct) -> None:
    """Refuses what the ledger would refuse, before it is asked for."""
    allowed = conduct.max_affected
    if allowed is not None and preview.affected > allowed:
        raise RefusedError(
            f"{what_would_go(preview)} would go, more than --max-affected {allowed}; nothing was changed"
        )


def _show(preview: Preview, out: Output) -> None:
    more = "\n…" if len(preview.sample) < preview.sessions else ""
    rows = [
        ("would be done", title_of(preview.kind, preview.target)),
        ("sessions", f"{preview.sessions:,}"),
        ("checkpoints", f"{preview.checkpoints:,}"),
        ("memory", decimal(preview.bytes)),
        ("sample", "\n".join(map(plain, preview.sample)) + more),
    ]
    out.result(preview, fields(rows), "Nothing was changed.")
