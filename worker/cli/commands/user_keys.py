"""The command on the keys of users."""

import typer

from agent_runtime.worker.cli.commands.options import AsJson, UserId, Yes
from agent_runtime.worker.cli.terminal.exit_status import exit_status


def erase_user_key(user_id: UserId, yes: Yes = False, as_json: AsJson = False) -> None:
    """Erase the key of a user, where users have keys of their own.

    What it sealed cannot be read any more, nor can any backup of it. Delete the user's sessions first.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.user_keys import erase_key

        erase_key(user_id, yes, as_json)


def add_to(program: typer.Typer) -> None:
    """Makes this function a command, with an example below its help."""
    example = "erase-user-key user_123"
    program.command("erase-user-key", epilog=f"Example: agent-sessions {example}")(erase_user_key)
