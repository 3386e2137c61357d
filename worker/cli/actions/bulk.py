"""Enqueue a job: preview it, ask for confirmation, enqueue it, and wait for its end."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, cast

from humanize import naturalsize

from agent_runtime.manager.jobs import JobOptions, Preview
from agent_runtime.tasks import Job, SessionJobs
from agent_runtime.worker.cli.actions.connection import Connection, connect
from agent_runtime.worker.cli.actions.enqueue import enqueue
from agent_runtime.worker.cli.actions.progress import watch_to_end
from agent_runtime.worker.cli.commands.options import RequestOptions
from agent_runtime.worker.cli.terminal.confirm import confirm, require_terminal
from agent_runtime.worker.cli.terminal.exit_status import RefusedError, UsageError
from agent_runtime.worker.cli.terminal.formatting import command_of, describe_preview, plain, seconds_of
from agent_runtime.worker.cli.terminal.output import Output, fields


class Request(NamedTuple):
    """A job that can be previewed and enqueued."""

    preview: Callable[[SessionJobs], Awaitable[Preview]]
    enqueue: Callable[[SessionJobs, JobOptions], Awaitable[Job]]


def delete_user(user_id: str, options: RequestOptions) -> None:
    request = Request(
        lambda jobs: jobs.preview_user_deletion(user_id),
        lambda jobs, limits: jobs.delete_user_sessions(user_id, **limits),
    )
    _carry_out(request, options)


def delete_agent(agent_id: str, options: RequestOptions) -> None:
    request = Request(
        lambda jobs: jobs.preview_agent_deletion(agent_id),
        lambda jobs, limits: jobs.delete_agent_sessions(agent_id, **limits),
    )
    _carry_out(request, options)


def prune(
    session_id: str | None,
    agent_id: str | None,
    keep_last: int | None,
    older_than: str | None,
    options: RequestOptions,
) -> None:
    age = seconds_of("--older-than", older_than)
    if keep_last is None and age is None:
        raise UsageError("prune needs --keep-last or --older-than, or both")
    if session_id is not None and agent_id is not None:
        raise UsageError("prune takes --session or --agent, not both")
    request = Request(
        lambda jobs: jobs.preview_pruning(session_id, agent_id, keep_last, age),
        lambda jobs, limits: jobs.prune_checkpoints(session_id, agent_id, keep_last, age, **limits),
    )
    _carry_out(request, options)


def sweep(options: RequestOptions) -> None:
    request = Request(
        lambda jobs: jobs.preview_sweep(),
        lambda jobs, limits: jobs.cleanup_expired_sessions(**limits),
    )
    _carry_out(request, options)


def _carry_out(request: Request, options: RequestOptions) -> None:
    out = Output(options.as_json)
    limits, timeout = _limits(options), seconds_of("--timeout", options.timeout)
    if timeout is not None and not options.wait:
        raise UsageError("--timeout needs --wait")
    asks = not (options.yes or options.dry_run)
    if asks:
        require_terminal(options.as_json, "--yes, or --dry-run for a preview")
    with connect() as connection:
        if options.dry_run or asks:
            preview = _preview(connection, request, out)
            _check_max_affected(preview, options)
        if options.dry_run:
            _show(preview, out)
            return
        if asks:
            command = command_of(preview.kind, preview.target)
            confirm(out, f"{command} would remove {describe_preview(preview)}.")
        enqueued = connection.run(enqueue(connection, request.enqueue(connection.jobs, limits)))
        enqueued.warn(out)
        progress = enqueued.progress
        if options.wait:
            progress = watch_to_end(connection, enqueued.job, out, timeout)
        out.finish(progress, enqueued=enqueued.enqueued, worker_answers=enqueued.worker_answers)


def _limits(options: RequestOptions) -> JobOptions:
    limits: dict[str, Any] = {
        "grace": seconds_of("--grace", options.grace),
        "max_affected": options.max_affected,
        "requested_by": options.requested_by,
        "reason": options.reason,
        "idempotency_key": options.idempotency_key,
    }
    return cast(JobOptions, {name: value for name, value in limits.items() if value is not None})


def _preview(connection: Connection, request: Request, out: Output) -> Preview:
    async def preview() -> Preview:
        return await request.preview(connection.jobs)

    with out.stderr.status("Counting"):
        return connection.run(preview())


def _check_max_affected(preview: Preview, options: RequestOptions) -> None:
    """Refuse what the job store would refuse, before it is enqueued."""
    allowed = options.max_affected
    if allowed is not None and preview.affected > allowed:
        raise RefusedError(
            f"this would remove {describe_preview(preview)}, more than --max-affected {allowed};"
            " nothing was changed"
        )


def _show(preview: Preview, out: Output) -> None:
    more = "\n…" if len(preview.sample) < preview.sessions else ""
    rows = [
        ("command", command_of(preview.kind, preview.target)),
        ("sessions", f"{preview.sessions:,}"),
        ("checkpoints", f"{preview.checkpoints:,}"),
        ("memory", naturalsize(preview.bytes)),
        ("sample", "\n".join(map(plain, preview.sample)) + more),
    ]
    out.result(preview, fields(rows), "Nothing was changed.")
