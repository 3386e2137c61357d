"""The commands `agent-sessions jobs …`."""

from typing import Annotated

import typer

from agent_runtime.worker.cli.commands.options import AsJson, JobId
from agent_runtime.worker.cli.terminal.exit_status import exit_status

_STATE = typer.Option(metavar="STATE", help="Only jobs in this state: queued, running, done, failed …")
_KIND = typer.Option(metavar="KIND", help="Only delete-user, delete-agent, prune or sweep.")
_TARGET = typer.Option(metavar="ID", help="Only jobs about this user, agent or session.")
_LIMIT = typer.Option(metavar="N", help="Most jobs to list.")
_CURSOR = typer.Option(metavar="TEXT", help="Go on behind an earlier list, which names it.")


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
        from agent_runtime.worker.cli.actions.jobs import list_jobs

        list_jobs(state, kind, target, limit, cursor, as_json)


def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show everything about a job."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.jobs import show_job

        show_job(job_id, as_json)


def watch(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job's progress until it ends."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.jobs import watch_job

        watch_job(job_id, as_json)


def pause(job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job until it is resumed. What it revoked stays revoked."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.jobs import pause_job

        pause_job(job_id, as_json)


def resume(job_id: JobId, as_json: AsJson = False) -> None:
    """Go on with a job that is paused, cancelled or failed."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.jobs import resume_job

        resume_job(job_id, as_json)


def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Stop a job for good. What it revoked stays revoked, and `resume` takes up the rest."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.jobs import cancel_job

        cancel_job(job_id, as_json)


def undo(job_id: JobId, as_json: AsJson = False) -> None:
    """Take back a job that has not begun: its sessions are there again."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.jobs import undo_job

        undo_job(job_id, as_json)


def add_to(group: typer.Typer) -> None:
    """Makes these functions commands, each with an example below its help."""
    group.command("list", epilog="Example: agent-sessions jobs list --state failed --limit 10")(list_)
    for command in (show, watch, pause, resume, cancel, undo):
        name = command.__name__
        group.command(name, epilog=f"Example: agent-sessions jobs {name} job_R7x2…")(command)
