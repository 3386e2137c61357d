"""One typed function per script. Nothing else builds `KEYS` and `ARGV`, or reads a raw reply."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from agent_runtime.manager.errors import CorruptDataError
from agent_runtime.manager.keys import INDEX_LINGER_MS, Keys
from agent_runtime.manager.scripts.replies import (
    Cursor,
    StoredSession,
    session_keys,
    stored_session,
    truth_or_damage,
)
from agent_runtime.manager.transport.script import load_script
from agent_runtime.manager.transport.script_client import ScriptClient

_CREATE_SESSION = load_script("sessions/create_session")
_GET_SESSION = load_script("sessions/get_session")
_SESSION_EXISTS = load_script("sessions/session_exists")
_UPDATE_SESSION = load_script("sessions/update_session")
_MERGE_METADATA = load_script("sessions/merge_metadata")
_REFRESH_SESSION = load_script("sessions/refresh_session")
_DELETE_SESSION = load_script("sessions/delete_session")
_LIST_SESSIONS = load_script("sessions/list_sessions")
_COUNT_USER_SESSIONS = load_script("sessions/count_user_sessions")
_COUNT_SESSIONS = load_script("sessions/count_sessions")
_CREATE_SESSIONS = load_script("sessions/create_sessions")
_GET_SESSIONS = load_script("sessions/get_sessions")
_DELETE_SESSIONS = load_script("sessions/delete_sessions")

#: How many open deletions one counting script looks at.
_REVOKED_SETS_PER_COUNT = 1_000


class Created(NamedTuple):
    """When a session was created, and when it expires."""

    created_us: int
    expires_ms: int


class Refusal(StrEnum):
    """Why a session was not created."""

    FULL = "FULL"
    """The partition holds as many sessions as it may."""
    TAKEN = "TAKEN"
    """The id is that of another user's session."""


async def create_session(
    client: ScriptClient,
    keys: Keys,
    *,
    session_id: str,
    user_id: str,
    agent_id: str,
    ttl_ms: int,
    max_sessions: int,
    metadata_size: int,
    metadata: list[bytes],
    user_key_id: str = "",
) -> Created | Refusal | StoredSession:
    """When it was created, or why not, or the session of this user that has this id already."""
    places = [
        keys.session(session_id),
        keys.user_index(user_id),
        keys.agent_index(agent_id),
        keys.expiry_index,
    ]
    args = [session_id, user_id, agent_id, ttl_ms, max_sessions, INDEX_LINGER_MS, metadata_size, *metadata]
    if user_key_id:
        args += ["user_key", user_key_id]
    return answer_to_creation(session_id, places[0], await client.call(_CREATE_SESSION, places, args))


async def get_session(client: ScriptClient, keys: Keys, session_id: str) -> tuple[int, StoredSession] | None:
    """The server's time (ms) and the session; None where it is not live."""
    key = keys.session(session_id)
    reply = await client.call(_GET_SESSION, [key], [keys.prefix, session_id])
    if reply is None:
        return None
    now_ms = reply.pop()
    return now_ms, stored_session(session_id, key, reply)


async def session_exists(client: ScriptClient, keys: Keys, session_id: str) -> bool:
    """Whether the session is live."""
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
    """Whether the session was live; None where the moment of expiry is past. '' leaves a thing as it is."""
    places = [*session_keys(keys, session_id), keys.new_answer()]
    args = [keys.prefix, session_id, agent_id, expires_ms, INDEX_LINGER_MS, metadata_size]
    reply = await client.call(_UPDATE_SESSION, places, [*args, client.repeated_within_ms, *metadata])
    return None if reply == b"PAST" else bool(reply)


async def merge_metadata(
    client: ScriptClient, keys: Keys, *, session_id: str, max_bytes: int, metadata: list[bytes]
) -> bool | None:
    """Whether the session was live; None where its metadata would be over the limit."""
    places = [keys.session(session_id), keys.new_answer()]
    args = [keys.prefix, session_id, max_bytes, client.repeated_within_ms, *metadata]
    reply = await client.call(_MERGE_METADATA, places, args)
    return None if reply == b"TOO_LARGE" else bool(reply)


async def refresh_session(client: ScriptClient, keys: Keys, session_id: str, ttl_ms: int) -> bool:
    """Whether the session was live."""
    args = [keys.prefix, session_id, ttl_ms, INDEX_LINGER_MS]
    return bool(await client.call(_REFRESH_SESSION, session_keys(keys, session_id), args))


async def delete_session(client: ScriptClient, keys: Keys, session_id: str) -> bool:
    """Whether the session was live."""
    places = [keys.session(session_id), keys.expiry_index, keys.new_answer()]
    args = [keys.prefix, session_id, client.repeated_within_ms]
    return bool(await client.call(_DELETE_SESSION, places, args))


async def list_sessions(
    client: ScriptClient, keys: Keys, index: bytes, cursor: Cursor, *, limit: int, max_bytes: int
) -> tuple[Cursor, list[StoredSession]]:
    """One page of live sessions in order of expiry, and where the next begins (`START` at the end)."""
    reply = await client.call(_LIST_SESSIONS, [index], [keys.prefix, *cursor, limit, max_bytes])
    sessions = []
    for raw_id, flat in zip(reply[2::2], reply[3::2], strict=True):
        session_id = raw_id.decode(errors="backslashreplace")
        sessions.append(stored_session(session_id, keys.session(session_id), flat))
    return (reply[0], reply[1]), sessions


async def count_user_sessions(
    client: ScriptClient, keys: Keys, user_id: str, cursor: Cursor, limit: int
) -> tuple[int, Cursor]:
    """Live sessions counted, and where the next page begins (`START` at the end)."""
    places = [keys.user_index(user_id), keys.revocations("a")]
    reply = await client.call(_COUNT_USER_SESSIONS, places, [keys.prefix, *cursor, limit])
    return int(reply[0]), (reply[1], reply[2])


async def count_sessions(client: ScriptClient, keys: Keys, seen: int) -> tuple[int, int]:
    """What to add to the count, and what to pass as `seen` next (-1 at the end)."""
    places = [keys.expiry_index, keys.revocations("u"), keys.revocations("a")]
    reply = await client.call(_COUNT_SESSIONS, places, [keys.prefix, seen, _REVOKED_SETS_PER_COUNT])
    return int(reply[0]), int(reply[1])


def answer_to_creation(session_id: str, key: bytes, reply: Any) -> Created | Refusal | StoredSession:
    """What a script answers to the creation of one session."""
    if isinstance(reply, bytes):
        return Refusal(reply.decode())
    if len(reply) == 2:
        return Created(int(reply[0]), int(reply[1]))
    return stored_session(session_id, key, reply)


class EncodedSession(NamedTuple):
    """A session to be created, as it is stored."""

    session_id: str
    user_id: str
    agent_id: str
    metadata_size: int
    metadata: list[bytes]


async def create_sessions(
    client: ScriptClient, keys: Keys, new: Sequence[EncodedSession], *, ttl_ms: int, max_sessions: int
) -> list[Created | Refusal | StoredSession]:
    """Of each what `scripts.create_session` says, or a damaged session where a key cannot be read."""
    args: list[Any] = [keys.prefix, ttl_ms, max_sessions, INDEX_LINGER_MS]
    for each in new:
        args += (each.session_id, each.user_id, each.agent_id, each.metadata_size, len(each.metadata))
        args += each.metadata
    reply = await client.call(_CREATE_SESSIONS, [keys.expiry_index], args)
    return [
        answer_to_creation(each.session_id, keys.session(each.session_id), answer)
        for each, answer in zip(new, reply, strict=True)
    ]


async def get_sessions(
    client: ScriptClient, keys: Keys, session_ids: list[str], *, max_bytes: int
) -> tuple[int, list[StoredSession | None]]:
    """The server's time (ms) and the first of these sessions, at least one; None for what is not live."""
    places = [keys.session(session_id) for session_id in session_ids]
    reply = await client.call(_GET_SESSIONS, places, [keys.prefix, max_bytes, *session_ids])
    found = zip(session_ids, places, reply[1:], strict=False)
    return int(reply[0]), [
        None if flat is None else stored_session(session_id, key, flat) for session_id, key, flat in found
    ]


async def delete_sessions(
    client: ScriptClient, keys: Keys, session_ids: list[str]
) -> list[bool | CorruptDataError]:
    """Of each, none of which is named twice, whether it was live."""
    places = [keys.new_answer(), keys.expiry_index]
    reply = await client.call(
        _DELETE_SESSIONS, places, [keys.prefix, client.repeated_within_ms, *session_ids]
    )
    return [
        truth_or_damage(keys, session_id, answer)
        for session_id, answer in zip(session_ids, reply, strict=True)
    ]
