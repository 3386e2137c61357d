"""The commands `agent-sessions jobs …`."""

from typing import Annotated

import typer

from agent_runtime.worker.cli.commands.options import AsJson, JobId
from agent_runtime.worker.cli.terminal.exit_status import exit_status

_STATE = typer.Option(metavar="STATE", help="List only jobs in this state: queued, running, done, failed …")
_KIND = typer.Option(metavar="KIND", help="List only delete-user, delete-agent, prune or sweep.")
_TARGET = typer.Option(metavar="ID", help="List only jobs on this user, agent or session.")
_LIMIT = typer.Option(metavar="N", help="List at most N jobs.")
_CURSOR = typer.Option(metavar="TEXT", help="Continue behind an earlier list, which printed this cursor.")


def list_(
    state: Annotated[str | None, _STATE] = None,
    kind: Annotated[str | None, _KIND] = None,
    target: Annotated[str | None, _TARGET] = None,
    limit: Annotated[int, _LIMIT] = 50,
    cursor: Annotated[str | None, _CURSOR] = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import jobs

        jobs.list_(state, kind, target, limit, cursor, as_json)


def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show all details of a job."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import jobs

        jobs.show(job_id, as_json)


def watch(job_id: JobId, as_json: AsJson = False) -> None:
    """Show the progress of a job until it ends."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import jobs

        jobs.watch(job_id, as_json)


def pause(job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job until it is resumed. Revoked sessions stay revoked."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import jobs

        jobs.pause(job_id, as_json)


def resume(job_id: JobId, as_json: AsJson = False) -> None:
    """Continue a job that is paused, cancelled or failed."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import jobs

        jobs.resume(job_id, as_json)


def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job for good. Revoked sessions stay revoked; `resume` continues the job after all."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import jobs

        jobs.cancel(job_id, as_json)


def undo(job_id: JobId, as_json: AsJson = False) -> None:
    """Undo a job that has not started: restore its sessions."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import jobs

        jobs.undo(job_id, as_json)


def add_to(group: typer.Typer) -> None:
    """Add these commands, each with an example below its help."""
    group.command("list", epilog="Example: agent-sessions jobs list --state failed --limit 10")(list_)
    for command in (show, watch, pause, resume, cancel, undo):
        name = command.__name__
        group.command(name, epilog=f"Example: agent-sessions jobs {name} job_R7x2…")(command)
