"""One typed function per script on checkpoints, as `manager.scripts` has them for sessions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agent_runtime.manager.chunks.chunk_cache import NOTHING_OPENED, Opened
from agent_runtime.manager.chunks.recipe import RECIPE, head_of, names_of
from agent_runtime.manager.errors import CorruptDataError
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts.replies import answers_of, session_keys
from agent_runtime.manager.transport.script import load_script
from agent_runtime.manager.transport.script_client import ScriptClient

_SAVE_CHECKPOINTS = load_script("checkpoints/save_checkpoints")
_GET_CHECKPOINT = load_script("checkpoints/get_checkpoint")
_LIST_CHECKPOINTS = load_script("checkpoints/list_checkpoints")
_PIN_CHECKPOINT = load_script("checkpoints/pin_checkpoint")
_UNPIN_CHECKPOINT = load_script("checkpoints/unpin_checkpoint")
_LIST_PINS = load_script("checkpoints/list_pins")
_DELETE_CHECKPOINT = load_script("checkpoints/delete_checkpoint")
_CLEAR_CHECKPOINTS = load_script("checkpoints/clear_checkpoints")

#: Meaning of each letter of a reply to a save.
_SAVED = {ord("1"): True, ord("0"): False, ord("M"): None}

#: How many checkpoints over the bound one save removes. It adds one, so any session comes down to its bound.
REMOVED_PER_SAVE = 100


class StoredCheckpoint(NamedTuple):
    """A checkpoint as it lies in Redis."""

    checkpoint_id: str
    key: bytes
    #: A whole number, unless it was damaged.
    created_us: float
    #: None if it is gone.
    data: bytes | None
    #: Stored values of its chunks by name; perhaps of other chunks as well.
    chunks: dict[str, bytes | None] = {}  # noqa: RUF012  (this default is never changed)
    #: Chunks that were decrypted or known before. A page shares them, so each is decrypted once.
    opened: dict[str, bytes] | None = None

    @property
    def head(self) -> str:
        """Return the list of its chunks; '' if it is no recipe. Raise `ValueError` if the list is no text."""
        return head_of(self.data) if self.data is not None and self.data[:1] == RECIPE else ""

    def values(self) -> Iterator[bytes]:
        """Return the stored values of the checkpoint, without its chunks."""
        if self.data is not None:
            yield self.data.partition(b"\n")[2] if self.data[:1] == RECIPE else self.data


class Page(NamedTuple):
    """Some checkpoints of a session, oldest first."""

    checkpoints: list[StoredCheckpoint]
    chunks: dict[str, bytes | None]
    #: Of everything in it.
    size: int

    def values(self) -> Iterator[bytes]:
        """The stored values that they are made of."""
        for checkpoint in self.checkpoints:
            yield from checkpoint.values()
        yield from filter(None, self.chunks.values())


def _pin_keys(keys: Keys, session_id: str) -> list[bytes]:
    return [keys.session(session_id), keys.checkpoint_order(session_id)]


class EncodedCheckpoint(NamedTuple):
    """A checkpoint to be saved, as it is stored."""

    session_id: str
    checkpoint_id: str
    data: bytes
    pin: bool
    #: Names and stored values of new chunks in turn.
    chunks: Sequence[bytes] = ()


async def save_checkpoints(
    client: ScriptClient, keys: Keys, new: Sequence[EncodedCheckpoint], *, max_unpinned: int | None = None
) -> list[bool | CorruptDataError | None]:
    """Save some checkpoints of one partition; those of one session in their order.

    Return for each if its session was live, and None if a chunk that the data names was not there.
    """
    # A save adds one, so that two or more bring any session down to its bound.
    limit = max(2, REMOVED_PER_SAVE // len(new))
    args: list[Any] = [keys.prefix, "" if max_unpinned is None else max_unpinned, limit]
    places: list[bytes] = []
    for session_id, checkpoint_id, data, pin, chunks in new:
        places.append(keys.session(session_id))
        args += (checkpoint_id, data, int(pin), len(chunks), *chunks)
    reply = await client.call(_SAVE_CHECKPOINTS, places, args)
    return answers_of(keys, (each.session_id for each in new), reply, _SAVED)


async def get_checkpoint(
    client: ScriptClient, keys: Keys, session_id: str, checkpoint_id: str, known: Opened = NOTHING_OPENED
) -> Page:
    """Return a checkpoint (the newest for '') without the known chunks; an empty page if there is none."""
    places = session_keys(keys, session_id)
    args = [keys.prefix, session_id, checkpoint_id, known.head]
    return _page(places[1], await client.call(_GET_CHECKPOINT, places, args) or [], known.texts)


async def list_checkpoints(
    client: ScriptClient, keys: Keys, session_id: str, *, after_us: float, limit: int, max_bytes: int
) -> Page:
    """Return a page of checkpoints younger than `after_us`; empty at the end."""
    places = session_keys(keys, session_id)
    args = [keys.prefix, session_id, f"{after_us:.0f}", limit, max_bytes]
    return _page(places[1], await client.call(_LIST_CHECKPOINTS, places, args))


async def pin_checkpoint(client: ScriptClient, keys: Keys, session_id: str, checkpoint_id: str) -> bool:
    """Pin a checkpoint. Return True if there is such a checkpoint."""
    args = [keys.prefix, session_id, checkpoint_id]
    return bool(await client.call(_PIN_CHECKPOINT, _pin_keys(keys, session_id), args))


async def unpin_checkpoint(client: ScriptClient, keys: Keys, session_id: str, checkpoint_id: str) -> bool:
    """Take the pin off a checkpoint. Return True if there is such a checkpoint."""
    args = [keys.prefix, session_id, checkpoint_id]
    return bool(await client.call(_UNPIN_CHECKPOINT, _pin_keys(keys, session_id), args))


async def list_pins(client: ScriptClient, keys: Keys, session_id: str) -> list[str]:
    """Return ids of the pinned checkpoints, oldest first."""
    reply = await client.call(_LIST_PINS, _pin_keys(keys, session_id), [keys.prefix, session_id])
    return [checkpoint_id.decode(errors="backslashreplace") for checkpoint_id in reply]


async def delete_checkpoint(client: ScriptClient, keys: Keys, session_id: str, checkpoint_id: str) -> bool:
    """Delete a checkpoint. Return True if there was such a checkpoint."""
    places = [*session_keys(keys, session_id), keys.new_answer()]
    args = [keys.prefix, session_id, checkpoint_id, client.repeated_within_ms]
    return bool(await client.call(_DELETE_CHECKPOINT, places, args))


async def clear_checkpoints(client: ScriptClient, keys: Keys, session_id: str) -> int:
    """Delete all checkpoints of a session. Return how many there were."""
    places = [*session_keys(keys, session_id), keys.new_answer()]
    args = [keys.prefix, session_id, client.repeated_within_ms]
    return int(await client.call(_CLEAR_CHECKPOINTS, places, args))


def _page(key: bytes, reply: list[Any], known: Mapping[str, bytes] = NOTHING_OPENED.texts) -> Page:
    found: list[StoredCheckpoint] = []
    chunks: dict[str, bytes | None] = {}
    opened = dict(known)
    size = 0
    last = 0
    while last < len(reply):
        checkpoint_id, created_us, data, count = reply[last : last + 4]
        first, last = last + 4, last + 4 + count
        if count:
            # It names some that are known, or that an earlier one has named as well; those come once.
            names = dict.fromkeys(name for place in names_of(head_of(data)) for name in place)
            new = (name for name in names if name not in chunks and name not in known)
            stored = reply[first:last]
            chunks |= zip(new, stored, strict=True)
            size += sum(len(chunk) for chunk in stored if chunk)
        size += len(data or b"")
        name = checkpoint_id.decode(errors="backslashreplace")
        found.append(StoredCheckpoint(name, key, float(created_us), data, chunks, opened))
    return Page(found, chunks, size)
