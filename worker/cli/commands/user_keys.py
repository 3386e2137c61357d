"""The command `agent-sessions erase-user-key`."""

import typer

from agent_runtime.worker.cli.commands.options import AsJson, UserId, Yes
from agent_runtime.worker.cli.terminal.exit_status import exit_status


def erase_user_key(user_id: UserId, yes: Yes = False, as_json: AsJson = False) -> None:
    """Erase the encryption key of a user.

    Data encrypted with this key can no longer be read, in backups either. Delete the user's sessions first.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions import user_keys

        user_keys.erase_user_key(user_id, yes, as_json)


def add_to(program: typer.Typer) -> None:
    """Add this command, with an example below its help."""
    program.command("erase-user-key", epilog="Example: agent-sessions erase-user-key user_123")(
        erase_user_key
    )
