"""Erase the encryption key of a user."""

from agent_runtime.worker.cli.actions.connection import connect
from agent_runtime.worker.cli.terminal.confirm import confirm, require_terminal
from agent_runtime.worker.cli.terminal.formatting import count, plain
from agent_runtime.worker.cli.terminal.output import Output


def erase_user_key(user_id: str, yes: bool, as_json: bool) -> None:
    out = Output(as_json)
    if not yes:
        require_terminal(as_json, "--yes")
    with connect() as connection:
        manager = connection.manager
        if not yes:
            sessions = connection.run(manager.get_active_session_count(user_id))
            confirm(
                out,
                f"Erasing the key of {plain(user_id)} makes the user's data unreadable:"
                f" {count(sessions, 'active session', 'active sessions')}, and every backup.",
            )
        erased = connection.run(manager.erase_user_key(user_id))
    said = "Erased: nobody can read data encrypted with this key." if erased else "The user has no key."
    out.result({"user_id": user_id, "erased": erased}, said)
