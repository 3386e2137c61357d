"""One typed function per script that takes many sessions, as in `scripts.py`."""

from manager.keys import Keys
from manager.script_source import load_script
from manager.scripts import StoredSession, stored_session
from manager.store import Store

_GET_SESSIONS = load_script("get_sessions")


async def get_sessions(
    store: Store, keys: Keys, session_ids: list[str], *, max_bytes: int
) -> tuple[int, list[StoredSession | None]]:
    """The server's time (ms) and the first of these sessions, at least one; None for what is not live."""
    places = [keys.session(session_id) for session_id in session_ids]
    reply = await store.call(_GET_SESSIONS, places, [keys.prefix, max_bytes, *session_ids])
    found = zip(session_ids, places, reply[1:], strict=False)
    return int(reply[0]), [
        None if flat is None else stored_session(session_id, key, flat) for session_id, key, flat in found
    ]
