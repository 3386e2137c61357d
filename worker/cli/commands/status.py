"""The command `agent-sessions status`."""

import typer

from agent_runtime.worker.cli.commands.options import AsJson
from agent_runtime.worker.cli.terminal.exit_status import exit_status


def status(as_json: AsJson = False) -> None:
    """Show when a sweep last ended, and whether one is overdue: then it fails, so that it can be alerted on.

    It is overdue where none has ended for three times AGENT_SESSIONS_SWEEP_INTERVAL_SECONDS and none is at
    work.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.status import show_status

        show_status(as_json)


def add_to(program: typer.Typer) -> None:
    """Makes this function a command, with an example below its help."""
    program.command("status", epilog="Example: agent-sessions status --json")(status)
