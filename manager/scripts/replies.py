"""Parts of raw replies: keys, cursors, ids, scores, stored sessions, answers to entries of a batch."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from agent_runtime.manager.errors import CorruptDataError
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.transport.error_mapping import damage_told_by

#: Cursor before the first member of a sorted set.
START = (b"", b"")

#: Largest score that is a moment, microseconds, or a number of something.
_LARGEST_SCORE = 253_402_300_799_999_999

#: Letter of an entry that is damaged.
_DAMAGED = ord("?")

Cursor = tuple[bytes, bytes]

T = TypeVar("T")


class StoredSession(NamedTuple):
    """A session's hash as it lies in Redis."""

    session_id: str
    key: bytes
    fields: dict[bytes, bytes]
    #: The server's words if the session is damaged, else ''.
    damage: str = ""


def text_of(key: bytes, raw: bytes) -> str:
    """Return an id that lies at `key`, as text.

    Raises:
        CorruptDataError: the id is no UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise CorruptDataError(f"an id at {key!r} cannot be read: {error}") from error


def score_of(key: bytes, raw: bytes) -> int:
    """Return a score of the sorted set at `key`: a moment or a number.

    Raises:
        CorruptDataError: the score is no whole number. (A page that ended at such a score would come again
            and again.)
    """
    score = float(raw)
    if not (score.is_integer() and 0 <= score <= _LARGEST_SCORE):
        raise CorruptDataError(f"a score at {key!r} cannot be read: {raw!r}")
    return int(score)


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    turns = iter(flat)
    return dict(zip(turns, turns, strict=False))  # strict, it takes half as long again


def session_keys(keys: Keys, session_id: str) -> list[bytes]:
    """Return the three keys of one session: its hash, its checkpoints and their order."""
    return [keys.session(session_id), keys.checkpoints(session_id), keys.checkpoint_order(session_id)]


def stored_session(session_id: str, key: bytes, flat: list[bytes]) -> StoredSession:
    """Return a session of its fields and values in turn, or of the server's words about a damaged one."""
    if len(flat) == 1:
        return StoredSession(session_id, key, {}, flat[0].decode(errors="backslashreplace"))
    return StoredSession(session_id, key, _pairs(flat))


def answers_of(
    keys: Keys, session_ids: Iterable[str], reply: Any, meanings: Mapping[int, T]
) -> list[T | CorruptDataError]:
    """Return the answer to each entry of a batch.

    Args:
        session_ids: the session that each entry is about.
        reply: a letter for each entry; if some are '?', a list of the letters and the server's words about
            each of these.
        meanings: what each other letter means, by its byte.
    """
    if isinstance(reply, bytes):
        return [meanings[letter] for letter in reply]
    letters, *damages = reply
    words = (damage.decode(errors="backslashreplace") for damage in damages)
    return [
        CorruptDataError(damage_told_by(next(words), session_keys(keys, session_id)))
        if letter == _DAMAGED
        else meanings[letter]
        for session_id, letter in zip(session_ids, letters, strict=True)
    ]
