"""One typed function per script on the server with the users' keys."""

from enum import StrEnum
from typing import NamedTuple

from agent_runtime.manager.keys import UserKeyNames
from agent_runtime.manager.transport.script import load_script
from agent_runtime.manager.transport.script_client import ScriptClient

_TAKE_USER_KEY = load_script("user_keys/take_user_key")
_READ_USER_KEY = load_script("user_keys/read_user_key")
_REWRAP_USER_KEY = load_script("user_keys/rewrap_user_key")
_ERASE_USER_KEY = load_script("user_keys/erase_user_key")


class WrappedKey(NamedTuple):
    """A user's key as it lies in Redis."""

    key_id: str
    wrapped: bytes


class Gone(StrEnum):
    """Why there is no such key."""

    ERASED = "ERASED"
    UNKNOWN = "UNKNOWN"


async def take_user_key(
    client: ScriptClient, names: UserKeyNames, user_id: str, offered: WrappedKey, keep_ms: int
) -> WrappedKey | None:
    """The user's key, or the one offered where there is none; None where its id was used before."""
    args = [names.key_prefix, offered.key_id, offered.wrapped, keep_ms]
    reply = await client.call(_TAKE_USER_KEY, [names.owner(user_id)], args)
    return None if reply == b"USED" else WrappedKey(reply[0].decode(), reply[1])


async def read_user_key(
    client: ScriptClient, names: UserKeyNames, key_id: str, keep_ms: int = 0
) -> WrappedKey | Gone:
    """The key with that id, kept for at least so long."""
    reply = await client.call(_READ_USER_KEY, [names.key(key_id)], [keep_ms])
    if reply is None or reply == b"ERASED":
        return Gone.UNKNOWN if reply is None else Gone.ERASED
    return WrappedKey(key_id, reply)


async def rewrap_user_key(
    client: ScriptClient, names: UserKeyNames, before: WrappedKey, wrapped: bytes
) -> bool:
    """Whether the key still was as it was before."""
    return bool(await client.call(_REWRAP_USER_KEY, [names.key(before.key_id)], [before.wrapped, wrapped]))


async def erase_user_key(client: ScriptClient, names: UserKeyNames, user_id: str) -> bool:
    """Whether the user had a key."""
    places = [names.owner(user_id), names.new_answer()]
    return bool(await client.call(_ERASE_USER_KEY, places, [names.key_prefix, client.repeated_within_ms]))
