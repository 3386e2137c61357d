"""One typed function per script. Nothing else builds `KEYS` and `ARGV`, or reads a raw reply."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from agent_runtime.manager.errors import CorruptDataError
from agent_runtime.manager.keys import INDEX_LINGER_MS, Keys
from agent_runtime.manager.scripts.replies import (
    Cursor,
    StoredSession,
    answers_of,
    session_keys,
    stored_session,
)
from agent_runtime.manager.transport.script import load_script
from agent_runtime.manager.transport.script_client import ScriptClient

_CREATE_SESSIONS = load_script("sessions/create_sessions")
_GET_SESSIONS = load_script("sessions/get_sessions")
_SESSION_EXISTS = load_script("sessions/session_exists")
_UPDATE_SESSION = load_script("sessions/update_session")
_MERGE_METADATA = load_script("sessions/merge_metadata")
_REFRESH_SESSION = load_script("sessions/refresh_session")
_DELETE_SESSIONS = load_script("sessions/delete_sessions")
_LIST_SESSIONS = load_script("sessions/list_sessions")
_COUNT_USER_SESSIONS = load_script("sessions/count_user_sessions")
_COUNT_SESSIONS = load_script("sessions/count_sessions")

#: Bytes of sessions after which one script reads no more of them; that keeps it near a millisecond.
SESSIONS_PAGE_BYTES = 262_144

#: Words of a reply to a creation.
_REFUSALS = (b"FULL", b"TAKEN", b"ENDED")

#: Meaning of each letter of a reply to a deletion.
_DELETED = {ord("1"): True, ord("0"): False}

#: How many open deletions one counting script looks at.
_REVOKED_SETS_PER_COUNT = 1_000


class Created(NamedTuple):
    """Creation and expiry of a session."""

    created_us: int
    expires_ms: int


class Refusal(StrEnum):
    """The reason why a session was not created."""

    FULL = "FULL"
    """The partition holds as many sessions as it may."""
    TAKEN = "TAKEN"
    """The id is that of another user's session."""
    ENDED = "ENDED"
    """The id is that of a session that is not live any more, and not reclaimed yet."""


class EncodedSession(NamedTuple):
    """A session to be created, as it is stored."""

    session_id: str
    user_id: str
    agent_id: str
    metadata_size: int
    #: Fields and stored values in turn.
    metadata: list[bytes]
    #: Id of the key of the session's user, if the metadata is encrypted under it, else ''.
    user_key_id: str = ""


async def create_sessions(
    client: ScriptClient, keys: Keys, new: Sequence[EncodedSession], *, ttl_ms: int, max_sessions: int
) -> list[Created | Refusal | StoredSession]:
    """Create some sessions of one partition.

    Return for each when it was created, or why it was not, or the session of this user that has this id
    already. A session with damage stands for one whose keys cannot be read.
    """
    args: list[Any] = [keys.prefix, ttl_ms, max_sessions, INDEX_LINGER_MS]
    for each in new:
        fields = [*each.metadata, "user_key", each.user_key_id] if each.user_key_id else each.metadata
        args += (each.session_id, each.user_id, each.agent_id, each.metadata_size, len(fields), *fields)
    reply = await client.call(_CREATE_SESSIONS, [keys.expiry_index], args)
    answers: list[Created | Refusal | StoredSession] = []
    place = 0
    for each in new:
        first, place = place + 1, place + 1 + reply[place]
        values = reply[first:place]
        if len(values) == 2:
            answers.append(Created(*values))
        elif values[0] in _REFUSALS:
            answers.append(Refusal(values[0].decode()))
        else:
            answers.append(stored_session(each.session_id, keys.session(each.session_id), values))
    return answers


async def get_sessions(
    client: ScriptClient, keys: Keys, session_ids: Sequence[str], *, max_bytes: int = SESSIONS_PAGE_BYTES
) -> tuple[int, list[StoredSession | None]]:
    """Read some sessions of one partition.

    Return the server's time (ms) and the first of these sessions, at least one; None for each that is not
    live.
    """
    places = [*map(keys.session, session_ids)]
    reply = await client.call(_GET_SESSIONS, places, [keys.prefix, max_bytes])
    if len(places) == 1:
        now_ms = reply.pop()
        return now_ms, [stored_session(session_ids[0], places[0], reply) if reply else None]
    found = zip(session_ids, places, reply[1:], strict=False)
    return reply[0], [
        None if flat is None else stored_session(session_id, key, flat) for session_id, key, flat in found
    ]


async def session_exists(client: ScriptClient, keys: Keys, session_id: str) -> bool:
    """Return True if the session is live."""
    return bool(await client.call(_SESSION_EXISTS, [keys.session(session_id)], [keys.prefix, session_id]))


async def update_session(
    client: ScriptClient,
    keys: Keys,
    *,
    session_id: str,
    agent_id: str,
    expires_ms: int | str,
    metadata_size: int | str,
    metadata: list[bytes],
) -> bool | None:
    """Update a session; '' leaves a field as it is.

    Return True if the session was live; None if the new expiry is past.
    """
    places = [*session_keys(keys, session_id), keys.new_answer()]
    args = [keys.prefix, session_id, agent_id, expires_ms, INDEX_LINGER_MS, metadata_size]
    reply = await client.call(_UPDATE_SESSION, places, [*args, client.repeated_within_ms, *metadata])
    return None if reply == b"PAST" else bool(reply)


async def merge_metadata(
    client: ScriptClient, keys: Keys, *, session_id: str, max_bytes: int, metadata: list[bytes]
) -> bool | None:
    """Merge metadata. Return True if the session was live; None if the result would exceed the limit."""
    places = [keys.session(session_id), keys.new_answer()]
    args = [keys.prefix, session_id, max_bytes, client.repeated_within_ms, *metadata]
    reply = await client.call(_MERGE_METADATA, places, args)
    return None if reply == b"TOO_LARGE" else bool(reply)


async def refresh_session(client: ScriptClient, keys: Keys, session_id: str, ttl_ms: int) -> bool:
    """Let a session live for another `ttl_ms`. Return True if it was live."""
    args = [keys.prefix, session_id, ttl_ms, INDEX_LINGER_MS]
    return bool(await client.call(_REFRESH_SESSION, session_keys(keys, session_id), args))


async def delete_sessions(
    client: ScriptClient, keys: Keys, session_ids: Sequence[str]
) -> list[bool | CorruptDataError]:
    """Delete some sessions of one partition, none named twice. Return for each if it was live."""
    places = [keys.new_answer(), keys.expiry_index]
    args = [keys.prefix, client.repeated_within_ms, *session_ids]
    reply = await client.call(_DELETE_SESSIONS, places, args)
    return answers_of(keys, session_ids, reply, _DELETED)


async def list_sessions(
    client: ScriptClient,
    keys: Keys,
    index: bytes,
    cursor: Cursor,
    *,
    limit: int,
    max_bytes: int = SESSIONS_PAGE_BYTES,
) -> tuple[Cursor, list[StoredSession]]:
    """Return the next page's cursor (`START` at the end), and a page of live sessions in order of expiry."""
    reply = await client.call(_LIST_SESSIONS, [index], [keys.prefix, *cursor, limit, max_bytes])
    sessions = []
    for raw_id, flat in zip(reply[2::2], reply[3::2], strict=True):
        session_id = raw_id.decode(errors="backslashreplace")
        sessions.append(stored_session(session_id, keys.session(session_id), flat))
    return (reply[0], reply[1]), sessions


async def count_user_sessions(
    client: ScriptClient, keys: Keys, user_id: str, cursor: Cursor, limit: int
) -> tuple[int, Cursor]:
    """Return the live sessions of a page, counted, and the next page's cursor (`START` at the end)."""
    places = [keys.user_index(user_id), keys.revocations("a")]
    reply = await client.call(_COUNT_USER_SESSIONS, places, [keys.prefix, *cursor, limit])
    return int(reply[0]), (reply[1], reply[2])


async def count_sessions(client: ScriptClient, keys: Keys, seen: int) -> tuple[int, int]:
    """Return a part of the count, and the next value of `seen` (-1 at the end)."""
    places = [keys.expiry_index, keys.revocations("u"), keys.revocations("a")]
    reply = await client.call(_COUNT_SESSIONS, places, [keys.prefix, seen, _REVOKED_SETS_PER_COUNT])
    return int(reply[0]), int(reply[1])
