"""One typed function for each script of previews and receipts."""

from enum import StrEnum
from typing import Any, NamedTuple, Self

from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts.batches import Selection
from agent_runtime.manager.scripts.replies import Cursor, score_of, text_of
from agent_runtime.manager.transport.script import load_script
from agent_runtime.manager.transport.script_client import ScriptClient

_COUNT_AFFECTED = load_script("jobs/count_affected")
_MEASURE_SESSIONS = load_script("jobs/measure_sessions")
_MEASURE_CHECKPOINTS = load_script("jobs/measure_checkpoints")
_MEASURE_EXPIRED = load_script("jobs/measure_expired")
_COUNT_RESIDUE = load_script("jobs/count_residue")
_APPEND_RECEIPT = load_script("jobs/append_receipt")
_LIST_RECEIPTS = load_script("jobs/list_receipts")
_READ_CHAIN = load_script("jobs/read_chain")


class Measured(NamedTuple):
    """Counts of one page of a preview, or of several."""

    sessions: int = 0
    checkpoints: int = 0
    bytes: int = 0
    sample: tuple[str, ...] = ()

    def plus(self, other: Self) -> "Measured":
        """Return the sum of both, with the sample of the first that has one."""
        return Measured(
            self.sessions + other.sessions,
            self.checkpoints + other.checkpoints,
            self.bytes + other.bytes,
            self.sample or other.sample,
        )


async def count_affected(client: ScriptClient, index: bytes, members: str) -> int:
    """Return the number of sessions that a job would work on in this partition."""
    return int(await client.call(_COUNT_AFFECTED, [index], [members]))


async def measure_sessions(
    client: ScriptClient, keys: Keys, index: bytes, cursor: Cursor, limit: int
) -> tuple[Measured, Cursor]:
    """Measure one page of what a deletion would remove. Return the cursor of the next page too, or
    `START` at the end.
    """
    return _measured(await client.call(_MEASURE_SESSIONS, [index], [keys.prefix, *cursor, limit]))


async def measure_expired(
    client: ScriptClient, keys: Keys, cursor: Cursor, limit: int
) -> tuple[Measured, Cursor]:
    """Measure one page of what a sweep would remove. Return the cursor of the next page too, or
    `START` at the end.
    """
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
    """Measure one page of what a pruning would remove. Return the cursor of the next page too, or
    `START` at the end.
    """
    args = [keys.prefix, *cursor, limit, keep_last, max_age_us, except_agents, session_id]
    return _measured(await client.call(_MEASURE_CHECKPOINTS, [index], args))


async def count_residue(
    client: ScriptClient,
    keys: Keys,
    index: bytes,
    cursor: Cursor,
    limit: int,
    *,
    selection: Selection,
    cutoff_us: int,
    job_id: str,
) -> tuple[int, Cursor, list[bytes]]:
    """Count sessions in one page of an index that should be gone. Return the count, the cursor of the next
    page, and with the first page the keys of sets that other deletions of the owner have revoked and not
    reclaimed yet.
    """
    places = [index, keys.revocations(selection.letter, selection.owner)]
    args = [keys.prefix, *cursor, limit, selection.letter, selection.owner, cutoff_us, job_id]
    score, member, count, *revoked_sets = await client.call(_COUNT_RESIDUE, places, args)
    return int(count), (score, member), revoked_sets


class Chain(NamedTuple):
    """Ingredients of the next receipt."""

    #: The namespace's own secret; empty if none was asked for.
    secret: str
    #: The receipt that the job has already, or ''.
    own: str
    #: The newest receipt, or '', and its number, or 0.
    number: int
    newest: str
    #: The oldest receipts and their numbers.
    oldest: list[tuple[int, str]]


async def read_chain(
    client: ScriptClient, keys: Keys, *, job_id: str = "", offered: str = "", keep_ms: int, limit: int = 0
) -> Chain:
    """Read the end of the chain, some of its oldest receipts, and the secret.

    Args:
        offered: the secret to take if there is none; '' if none is needed.
        keep_ms: how long the secret is kept from now.
        limit: most of the oldest receipts to read.
    """
    places = [keys.receipts, keys.receipt_jobs, keys.receipt_key]
    reply = await client.call(_READ_CHAIN, places, [job_id, offered, keep_ms, limit])
    secret, own, number, newest, *oldest = reply
    return Chain(
        text_of(keys.receipt_key, secret),
        _receipt_text(own),
        int(number),
        _receipt_text(newest),
        _numbered(keys, oldest),
    )


class AppendReply(StrEnum):
    """Outcome of appending a receipt."""

    APPENDED = "APPENDED"
    """The receipt is the end of the chain."""
    KNOWN = "KNOWN"
    """The job has a receipt already."""
    BEHIND = "BEHIND"
    """The chain has another end than the one that the receipt was made for."""


async def append_receipt(
    client: ScriptClient, keys: Keys, job_id: str, receipt: str, *, last: int, retention_ms: int, drop_to: int
) -> AppendReply:
    """Append a job's receipt to the chain behind the receipt with the number `last`.

    Args:
        drop_to: number up to which receipts have been kept for their time and are dropped.
    """
    places = [keys.receipts, keys.receipt_jobs]
    reply: bytes = await client.call(_APPEND_RECEIPT, places, [job_id, last, receipt, retention_ms, drop_to])
    return AppendReply(reply.decode())


async def list_receipts(client: ScriptClient, keys: Keys, after: int, limit: int) -> list[tuple[int, str]]:
    """Return numbers and receipts (JSON) behind a number, in order."""
    return _numbered(keys, await client.call(_LIST_RECEIPTS, [keys.receipts], [after, limit]))


def _numbered(keys: Keys, flat: list[bytes]) -> list[tuple[int, str]]:
    """Return numbers and receipts, from receipts and their scores in turn."""
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [(score_of(keys.receipts, number), _receipt_text(text)) for text, number in pairs]


def _receipt_text(raw: bytes) -> str:
    """Decode what lies in a receipt's place. What is no text becomes something that is no receipt."""
    return raw.decode(errors="replace")


def _measured(reply: list[Any]) -> tuple[Measured, Cursor]:
    sample = tuple(session_id.decode(errors="replace") for session_id in reply[5:])
    return Measured(int(reply[2]), int(reply[3]), int(reply[4]), sample), (reply[0], reply[1])
