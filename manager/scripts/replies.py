"""What raw replies are made of: keys, cursors, ids, scores, and sessions as they are stored."""

from typing import Any, NamedTuple

from agent_runtime.manager.errors import CorruptDataError
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.transport.error_mapping import damage_told_by

#: Where a page of a sorted set begins: before its first member.
START = (b"", b"")

#: Largest score that is a moment, microseconds, or a number of something.
_LARGEST_SCORE = 253_402_300_799_999_999

Cursor = tuple[bytes, bytes]


class StoredSession(NamedTuple):
    """A session's hash as it lies in Redis."""

    session_id: str
    key: bytes
    fields: dict[bytes, bytes]
    #: What the server says of one that it could not read, else ''.
    damage: str = ""


def text_of(key: bytes, raw: bytes) -> str:
    """An id that lies at `key`."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise CorruptDataError(f"an id at {key!r} cannot be read: {error}") from error


def score_of(key: bytes, raw: bytes) -> int:
    """A moment or a number, as a score of the sorted set at `key`. A page that ended at a score which is no
    whole number would come again and again.
    """
    score = float(raw)
    if not (score.is_integer() and 0 <= score <= _LARGEST_SCORE):
        raise CorruptDataError(f"a score at {key!r} cannot be read: {raw!r}")
    return int(score)


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    turns = iter(flat)
    return dict(zip(turns, turns, strict=False))  # strict, it takes half as long again


def session_keys(keys: Keys, session_id: str) -> list[bytes]:
    return [keys.session(session_id), keys.checkpoints(session_id), keys.checkpoint_order(session_id)]


def stored_session(session_id: str, key: bytes, flat: list[bytes]) -> StoredSession:
    """Of a session's fields and their values in turn, or of what the server says of a damaged one."""
    if len(flat) == 1:
        return StoredSession(session_id, key, {}, flat[0].decode(errors="backslashreplace"))
    return StoredSession(session_id, key, _pairs(flat))


def truth_or_damage(keys: Keys, session_id: str, answer: Any) -> bool | CorruptDataError:
    """Of 1, 0 or the text of an error in a list of its own."""
    if isinstance(answer, list):
        text = answer[0].decode(errors="backslashreplace")
        return CorruptDataError(damage_told_by(text, session_keys(keys, session_id)))
    return bool(answer)
