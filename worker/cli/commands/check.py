"""The command `agent-sessions check`."""

from typing import Annotated

import typer

from agent_runtime.worker.cli.commands.options import AsJson
from agent_runtime.worker.cli.terminal.exit_status import exit_status

_REPAIR = typer.Option("--repair", help="Repair what can be repaired; no readable data is lost.")
_LIMIT = typer.Option(metavar="N", min=0, help="Show at most N findings; all are counted.")


def check(
    repair: Annotated[bool, _REPAIR] = False,
    limit: Annotated[int, _LIMIT] = 100,
    as_json: AsJson = False,
) -> None:
    """Check the whole store for damage while other programs use it.

    Ctrl-C stops the check at any point and leaves nothing half done.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import check as action

        action.check(repair, limit, as_json)


def add_to(program: typer.Typer) -> None:
    """Add this command, with an example below its help."""
    program.command("check", epilog="Example: agent-sessions check --repair")(check)
