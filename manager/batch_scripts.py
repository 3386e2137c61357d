"""One typed function per script that takes many sessions, as in `scripts.py`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from manager.checkpoint_scripts import REMOVED_PER_SAVE
from manager.errors import CorruptDataError
from manager.keys import INDEX_LINGER_MS, Keys
from manager.replies import damage_told_by
from manager.script_source import load_script
from manager.scripts import (
    Created,
    Refusal,
    StoredSession,
    answer_to_creation,
    session_keys,
    stored_session,
)
from manager.store import Store

_CREATE_SESSIONS = load_script("create_sessions")
_GET_SESSIONS = load_script("get_sessions")
_DELETE_SESSIONS = load_script("delete_sessions")
_SAVE_CHECKPOINTS = load_script("save_checkpoints")


class SealedSession(NamedTuple):
    """A session to be created, as it is stored."""

    session_id: str
    user_id: str
    agent_id: str
    metadata_size: int
    metadata: list[bytes]


class SealedCheckpoint(NamedTuple):
    """A checkpoint to be saved, as it is stored; without pieces."""

    session_id: str
    checkpoint_id: str
    data: bytes
    pin: bool


async def create_sessions(
    store: Store, keys: Keys, new: Sequence[SealedSession], *, ttl_ms: int, max_sessions: int
) -> list[Created | Refusal | StoredSession]:
    """Of each what `scripts.create_session` says, or a damaged session where a key cannot be read."""
    args: list[Any] = [keys.prefix, ttl_ms, max_sessions, INDEX_LINGER_MS]
    for each in new:
        args += (each.session_id, each.user_id, each.agent_id, each.metadata_size, len(each.metadata))
        args += each.metadata
    reply = await store.call(_CREATE_SESSIONS, [keys.expiry_index], args)
    return [
        answer_to_creation(each.session_id, keys.session(each.session_id), answer)
        for each, answer in zip(new, reply, strict=True)
    ]


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


async def delete_sessions(store: Store, keys: Keys, session_ids: list[str]) -> list[bool | CorruptDataError]:
    """Of each, none of which is named twice, whether it was live."""
    places = [keys.new_answer(), keys.expiry_index]
    reply = await store.call(_DELETE_SESSIONS, places, [keys.prefix, store.repeated_within_ms, *session_ids])
    return [
        _truth_or_damage(keys, session_id, answer)
        for session_id, answer in zip(session_ids, reply, strict=True)
    ]


async def save_checkpoints(
    store: Store, keys: Keys, new: Sequence[SealedCheckpoint], *, max_unpinned: int | None
) -> list[bool | CorruptDataError]:
    """Of each whether its session was live; those of one session in their order."""
    # A save adds one, so that two or more bring any session down to its bound.
    limit = max(2, REMOVED_PER_SAVE // len(new))
    args: list[Any] = [keys.prefix, "" if max_unpinned is None else max_unpinned, limit]
    for each in new:
        args += (each.session_id, each.checkpoint_id, each.data, int(each.pin))
    reply = await store.call(_SAVE_CHECKPOINTS, [keys.session(each.session_id) for each in new], args)
    return [_truth_or_damage(keys, each.session_id, answer) for each, answer in zip(new, reply, strict=True)]


def _truth_or_damage(keys: Keys, session_id: str, answer: Any) -> bool | CorruptDataError:
    """Of 1, 0 or the text of an error in a list of its own."""
    if isinstance(answer, list):
        text = answer[0].decode(errors="backslashreplace")
        return CorruptDataError(damage_told_by(text, session_keys(keys, session_id)))
    return bool(answer)
