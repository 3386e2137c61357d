"""One typed function for each script of the check of a store."""

from typing import Any

from agent_runtime.manager.keys import INDEX_LINGER_MS, Keys
from agent_runtime.manager.models.findings import Damage, Finding
from agent_runtime.manager.scripts.replies import Cursor
from agent_runtime.manager.transport.script import load_script
from agent_runtime.manager.transport.script_client import ScriptClient

_SCAN_KEYS = load_script("integrity/scan_keys")
_CHECK_KEY = load_script("integrity/check_key")
_CHECK_INDEX = load_script("integrity/check_index")
_CHECK_SESSION = load_script("integrity/check_session")
_CHECK_ORDER = load_script("integrity/check_order")
_CHECK_DATA = load_script("integrity/check_data")
_CHECK_CHUNKS = load_script("integrity/check_chunks")
_CHECK_REVOKED_SET = load_script("integrity/check_revoked_set")

#: Most checkpoints of one session that one script checks.
_PAGE = 100


async def scan_keys(
    client: ScriptClient, cursor: int, pattern: bytes, count: int
) -> tuple[int, int, list[bytes]]:
    """Return the next cursor (0 at the end), the number of keys in the database, and some matching keys."""
    reply = await client.call(_SCAN_KEYS, [], [cursor, pattern, count])
    return int(reply[0]), int(reply[1]), reply[2:]


async def check_key(
    client: ScriptClient, key: bytes, *, expected: str, lingers_ms: int | str, keep_ms: int, repair: bool
) -> tuple[bool, list[Finding]]:
    """Check the type and time to live of a key.

    Return True if it exists and has its type, and the findings.
    """
    reply = await client.call(_CHECK_KEY, [key], [expected, lingers_ms, keep_ms, int(repair)])
    return bool(reply[0]), _findings(reply[1:])


async def check_index(
    client: ScriptClient,
    keys: Keys,
    index: bytes,
    letter: str,
    owner: str,
    cursor: Cursor,
    *,
    limit: int,
    repair: bool,
) -> tuple[Cursor, list[Finding]]:
    """Check one page of an index for ghosts.

    Return the next cursor (`START` at the end), and the findings.
    """
    args = [keys.prefix, letter, owner, *cursor, limit, int(repair), INDEX_LINGER_MS]
    reply = await client.call(_CHECK_INDEX, [index], args)
    return (reply[0], reply[1]), _findings(reply[2:])


async def check_session(
    client: ScriptClient, keys: Keys, session_id: str, letter: str, *, repair: bool
) -> tuple[bool, list[Finding]]:
    """Check a session as a whole. Return True if it is live and can be read further, and the findings."""
    places = [keys.session(session_id), keys.checkpoints(session_id), keys.checkpoint_order(session_id)]
    args = [keys.prefix, session_id, letter, int(repair), INDEX_LINGER_MS]
    reply = await client.call(_CHECK_SESSION, places, args)
    return bool(reply[0]), _findings(reply[1:])


async def check_order(
    client: ScriptClient, keys: Keys, session_id: str, first: int, *, repair: bool
) -> tuple[int, list[Finding]]:
    """Check a page of the order of checkpoints.

    Return how many of the oldest checkpoints are checked (-1 at the end), and the findings.
    """
    places = [keys.session(session_id), keys.checkpoints(session_id), keys.checkpoint_order(session_id)]
    reply = await client.call(_CHECK_ORDER, places, [first, _PAGE, int(repair)])
    return int(reply[0]), _findings(reply[1:])


async def check_data(
    client: ScriptClient, keys: Keys, session_id: str, cursor: int, *, repair: bool
) -> tuple[int, list[Finding]]:
    """Check a page of checkpoints for data that the order does not list.

    Return the next cursor (0 at the end), and the findings.
    """
    places = [keys.checkpoints(session_id), keys.checkpoint_order(session_id)]
    reply = await client.call(_CHECK_DATA, places, [cursor, _PAGE, int(repair)])
    return int(reply[0]), _findings(reply[1:])


async def check_chunks(client: ScriptClient, keys: Keys, session_id: str, *, repair: bool) -> list[Finding]:
    """Check the chunks of a session and their counts. Return the findings."""
    places = [keys.checkpoints(session_id), keys.checkpoint_order(session_id)]
    reply = await client.call(_CHECK_CHUNKS, places, [int(repair)])
    return _findings(reply[1:])


async def check_revoked_set(client: ScriptClient, keys: Keys, name: str, *, repair: bool) -> list[Finding]:
    """Check one revoked set. Return the findings."""
    places = [keys.revoked_set(name), keys.job(name.rpartition(":")[0])]
    reply = await client.call(_CHECK_REVOKED_SET, places, [keys.prefix, name, int(repair)])
    return _findings(reply[1:])


def _findings(flat: list[Any]) -> list[Finding]:
    """Return the findings of a script's reply, which has four parts for each."""
    rows = zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)
    return [
        Finding(
            damage=Damage(damage.decode()), key=as_text(key), detail=as_text(detail), repaired=bool(repaired)
        )
        for damage, key, detail, repaired in rows
    ]


def as_text(raw: bytes) -> str:
    """Return any bytes as text."""
    return raw.decode(errors="backslashreplace")
