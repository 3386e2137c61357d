"""One typed function per script of a check."""

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

#: Checkpoints of one session that one script looks at.
_PAGE = 100


async def scan_keys(
    client: ScriptClient, cursor: int, pattern: bytes, count: int
) -> tuple[int, int, list[bytes]]:
    """Where the next page begins (0 at the end), how many keys the database has, and some keys."""
    reply = await client.call(_SCAN_KEYS, [], [cursor, pattern, count])
    return int(reply[0]), int(reply[1]), reply[2:]


async def check_key(
    client: ScriptClient, key: bytes, *, expected: str, lingers_ms: int | str, keep_ms: int, repair: bool
) -> tuple[bool, list[Finding]]:
    """Whether the key is there and has its type, and what is wrong with it."""
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
    """Ghosts in one page of an index, and where the next begins (`START` at the end)."""
    args = [keys.prefix, letter, owner, *cursor, limit, int(repair), INDEX_LINGER_MS]
    reply = await client.call(_CHECK_INDEX, [index], args)
    return (reply[0], reply[1]), _findings(reply[2:])


async def check_session(
    client: ScriptClient, keys: Keys, session_id: str, letter: str, *, repair: bool
) -> tuple[bool, list[Finding]]:
    """Whether it is live and can be read further, and what is wrong with it."""
    places = [keys.session(session_id), keys.checkpoints(session_id), keys.checkpoint_order(session_id)]
    args = [keys.prefix, session_id, letter, int(repair), INDEX_LINGER_MS]
    reply = await client.call(_CHECK_SESSION, places, args)
    return bool(reply[0]), _findings(reply[1:])


async def check_order(
    client: ScriptClient, keys: Keys, session_id: str, first: int, *, repair: bool
) -> tuple[int, list[Finding]]:
    """How many of the oldest checkpoints have been looked at (-1 at the end), and those without data."""
    places = [keys.session(session_id), keys.checkpoints(session_id), keys.checkpoint_order(session_id)]
    reply = await client.call(_CHECK_ORDER, places, [first, _PAGE, int(repair)])
    return int(reply[0]), _findings(reply[1:])


async def check_data(
    client: ScriptClient, keys: Keys, session_id: str, cursor: int, *, repair: bool
) -> tuple[int, list[Finding]]:
    """Where the next page begins (0 at the end), and data that the order does not list."""
    places = [keys.checkpoints(session_id), keys.checkpoint_order(session_id)]
    reply = await client.call(_CHECK_DATA, places, [cursor, _PAGE, int(repair)])
    return int(reply[0]), _findings(reply[1:])


async def check_chunks(client: ScriptClient, keys: Keys, session_id: str, *, repair: bool) -> list[Finding]:
    """Chunks that no checkpoint names, or whose number of names is wrong."""
    places = [keys.checkpoints(session_id), keys.checkpoint_order(session_id)]
    reply = await client.call(_CHECK_CHUNKS, places, [int(repair)])
    return _findings(reply[1:])


async def check_revoked_set(client: ScriptClient, keys: Keys, name: str, *, repair: bool) -> list[Finding]:
    """What is wrong with what a deletion has taken away."""
    places = [keys.prefix + b"revoked:" + name.encode(), keys.job(name.rpartition(":")[0])]
    reply = await client.call(_CHECK_REVOKED_SET, places, [keys.prefix, name, int(repair)])
    return _findings(reply[1:])


def _findings(flat: list[Any]) -> list[Finding]:
    rows = zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)
    return [
        Finding(damage=Damage(damage.decode()), key=shown(key), about=shown(about), mended=bool(mended))
        for damage, key, about, mended in rows
    ]


def shown(raw: bytes) -> str:
    """Any bytes as text."""
    return raw.decode(errors="backslashreplace")
