"""Erasing the key of a user."""

from worker.cli.asking import confirm, need_somebody
from worker.cli.connection import connected
from worker.cli.output import Output
from worker.cli.words import count, plain


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
