"""One typed function per script of previews and receipts."""

from typing import Any, NamedTuple, Self

from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts.replies import Cursor, score_of, text_of
from agent_runtime.manager.transport.script import load_script
from agent_runtime.manager.transport.script_client import ScriptClient

_COUNT_AFFECTED = load_script("jobs/count_affected")
_MEASURE_SESSIONS = load_script("jobs/measure_sessions")
_MEASURE_CHECKPOINTS = load_script("jobs/measure_checkpoints")
_MEASURE_EXPIRED = load_script("jobs/measure_expired")
_COUNT_RESIDUE = load_script("jobs/count_residue")
_LIST_REVOKED_SETS = load_script("jobs/list_revoked_sets")
_APPEND_RECEIPT = load_script("jobs/append_receipt")
_LIST_RECEIPTS = load_script("jobs/list_receipts")
_GET_SECRET = load_script("jobs/get_secret")


class Measured(NamedTuple):
    """What one page, or several, of a preview have come to."""

    sessions: int = 0
    checkpoints: int = 0
    bytes: int = 0
    sample: tuple[str, ...] = ()

    def plus(self, other: Self) -> "Measured":
        return Measured(
            self.sessions + other.sessions,
            self.checkpoints + other.checkpoints,
            self.bytes + other.bytes,
            self.sample or other.sample,
        )


async def count_affected(client: ScriptClient, keys: Keys, index: bytes, selection: str) -> int:
    """How many sessions a job would work on in this partition."""
    return int(await client.call(_COUNT_AFFECTED, [index], [selection]))


async def measure_sessions(
    client: ScriptClient, keys: Keys, index: bytes, cursor: Cursor, limit: int
) -> tuple[Measured, Cursor]:
    """What a deletion would remove, one page of it, and where the next begins (`START` at the end)."""
    return _measured(await client.call(_MEASURE_SESSIONS, [index], [keys.prefix, *cursor, limit]))


async def measure_expired(
    client: ScriptClient, keys: Keys, cursor: Cursor, limit: int
) -> tuple[Measured, Cursor]:
    """What a sweep would remove, one page of it, and where the next begins (`START` at the end)."""
    return _measured(await client.call(_MEASURE_EXPIRED, [keys.expiry_index], [*cursor, limit]))


async def measure_checkpoints(
    client: ScriptClient,
    keys: Keys,
    index: bytes,
    cursor: Cursor,
    limit: int,
    *,
    keep_last: int | str,
    max_age_us: int | str,
    except_agents: str,
    session_id: str,
) -> tuple[Measured, Cursor]:
    """What a pruning would remove, one page of it, and where the next begins (`START` at the end)."""
    args = [keys.prefix, *cursor, limit, keep_last, max_age_us, except_agents, session_id]
    return _measured(await client.call(_MEASURE_CHECKPOINTS, [index], args))


async def count_residue(
    client: ScriptClient,
    keys: Keys,
    index: bytes,
    cursor: Cursor,
    limit: int,
    *,
    whose: str,
    owner: str,
    cutoff_us: int,
) -> tuple[int, Cursor]:
    """Sessions in one page of an index that should be gone, and where the next begins."""
    args = [keys.prefix, *cursor, limit, whose, owner, cutoff_us]
    reply = await client.call(_COUNT_RESIDUE, [index], args)
    return int(reply[2]), (reply[0], reply[1])


async def list_revoked_sets(
    client: ScriptClient, keys: Keys, letter: str, owner: str, job_id: str
) -> list[bytes]:
    """Keys of what other deletions of this owner have taken away and not reclaimed yet."""
    places = [keys.revocations(letter, owner)]
    found: list[bytes] = await client.call(_LIST_REVOKED_SETS, places, [keys.prefix, job_id])
    return found


async def append_receipt(
    client: ScriptClient,
    keys: Keys,
    job_id: str,
    *,
    last: int,
    receipt: str,
    retention_ms: int,
    forget_to: int,
) -> tuple[str, str, int]:
    """'APPENDED'; or 'KNOWN' and the receipt the job has; or 'BEHIND', the last one in the chain and its
    number.
    """
    places = [keys.receipts, keys.receipt_jobs]
    reply = await client.call(_APPEND_RECEIPT, places, [job_id, last, receipt, retention_ms, forget_to])
    return reply[0].decode(), _receipt_text(reply[1]), int(reply[2])


async def list_receipts(client: ScriptClient, keys: Keys, after: int, limit: int) -> list[tuple[int, str]]:
    """Numbers and receipts (JSON) behind a number, in order."""
    flat: list[bytes] = await client.call(_LIST_RECEIPTS, [keys.receipts], [after, limit])
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [(score_of(keys.receipts, number), _receipt_text(text)) for text, number in pairs]


async def get_secret(client: ScriptClient, keys: Keys, offered: str, keep_ms: int) -> str:
    """The secret of this namespace: the one that is there, or the one offered."""
    reply = await client.call(_GET_SECRET, [keys.receipt_key, keys.receipts], [offered, keep_ms])
    return text_of(keys.receipt_key, reply)


def _receipt_text(raw: bytes) -> str:
    """What lies in a receipt's place; where it is no text, something that is no receipt."""
    return raw.decode(errors="replace")


def _measured(reply: list[Any]) -> tuple[Measured, Cursor]:
    sample = tuple(session_id.decode(errors="replace") for session_id in reply[5:])
    return Measured(int(reply[2]), int(reply[3]), int(reply[4]), sample), (reply[0], reply[1])
