"""Erasing the key of a user."""

from agent_runtime.worker.cli.actions.connection import connected
from agent_runtime.worker.cli.terminal.confirm import confirm, need_somebody
from agent_runtime.worker.cli.terminal.formatting import count, plain
from agent_runtime.worker.cli.terminal.output import Output


def erase_key(user_id: str, yes: bool, as_json: bool) -> None:
    out = Output(as_json)
    if not yes:
        need_somebody(as_json, "--yes")
    with connected() as here:
        if not yes:
            sessions = here.run(here.manager.get_active_session_count(user_id))
            confirm(
                out,
                f"The key of {plain(user_id)} would go for good: {count(sessions, 'sessions')} in use,"
                " and every backup of what it sealed.",
            )
        erased = here.run(here.manager.erase_user_key(user_id))
    told = "Erased: what the key sealed cannot be read any more." if erased else "The user has no key."
    out.result({"user_id": user_id, "erased": erased}, told)
