"""The command `agent-sessions status`."""

import typer

from agent_runtime.worker.cli.commands.options import AsJson
from agent_runtime.worker.cli.terminal.exit_status import exit_status


def status(as_json: AsJson = False) -> None:
    """Show when the last sweep ended. Exit with 1 if the next sweep is overdue.

    A sweep is overdue if none is running and none has ended for three times
    AGENT_SESSIONS_SWEEP_INTERVAL_SECONDS.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import status as action

        action.status(as_json)


def add_to(program: typer.Typer) -> None:
    """Add this command, with an example below its help."""
    program.command("status", epilog="Example: agent-sessions status --json")(status)
