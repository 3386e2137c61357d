"""The commands `agent-sessions receipts …`."""

from typing import Annotated

import typer

from agent_runtime.worker.cli.commands.options import AsJson
from agent_runtime.worker.cli.terminal.exit_status import exit_status

_LAST_HASH = typer.Option(metavar="HASH", help="A last hash noted earlier; it must be in the chain still.")


def list_(as_json: AsJson = False) -> None:
    """List the receipts that are kept, oldest first."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.receipts import list_receipts

        list_receipts(as_json)


def verify(last_hash: Annotated[str | None, _LAST_HASH] = None, as_json: AsJson = False) -> None:
    """Look whether a receipt is missing, was altered or was put in.

    Note the last hash somewhere else: given next time, it shows whether the end of the chain was cut off.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.receipts import verify_receipts

        verify_receipts(last_hash, as_json)


def add_to(group: typer.Typer) -> None:
    """Makes these functions commands, each with an example below its help."""
    group.command("list", epilog="Example: agent-sessions receipts list --json")(list_)
    group.command("verify", epilog="Example: agent-sessions receipts verify --last-hash 6f0c…")(verify)
