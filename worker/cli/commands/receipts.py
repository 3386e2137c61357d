"""The commands `agent-sessions receipts …`."""

from typing import Annotated

import typer

from agent_runtime.worker.cli.commands.options import AsJson
from agent_runtime.worker.cli.terminal.exit_status import exit_status

_LAST_HASH = typer.Option(metavar="HASH", help="Fail unless the chain still holds this hash, noted earlier.")


def list_(as_json: AsJson = False) -> None:
    """List all receipts, oldest first."""
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import receipts

        receipts.list_(as_json)


def verify(last_hash: Annotated[str | None, _LAST_HASH] = None, as_json: AsJson = False) -> None:
    """Verify that no receipt is missing, altered or inserted.

    Note the last hash in another place: passed next time, it shows if the end of the chain was cut off.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import receipts

        receipts.verify(last_hash, as_json)


def add_to(group: typer.Typer) -> None:
    """Add these commands, each with an example below its help."""
    group.command("list", epilog="Example: agent-sessions receipts list --json")(list_)
    group.command("verify", epilog="Example: agent-sessions receipts verify --last-hash 6f0c…")(verify)
