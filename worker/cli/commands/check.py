"""The command `agent-sessions check`."""

from typing import Annotated

import typer

from agent_runtime.worker.cli.commands.options import AsJson
from agent_runtime.worker.cli.terminal.exit_status import exit_status

_REPAIR = typer.Option("--repair", help="Mend what can be mended; nothing that can be read is lost.")
_LIMIT = typer.Option(metavar="N", min=0, help="Show no more findings than that; all are counted.")


def check(
    repair: Annotated[bool, _REPAIR] = False,
    limit: Annotated[int, _LIMIT] = 100,
    as_json: AsJson = False,
) -> None:
    """Look through the whole store for damage, while others work on it.

    Ctrl-C ends it at any point, and leaves nothing half done.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.check import check_store

        check_store(repair, limit, as_json)


def add_to(program: typer.Typer) -> None:
    """Makes this function a command, with an example below its help."""
    program.command("check", epilog="Example: agent-sessions check --repair")(check)
