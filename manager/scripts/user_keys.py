"""One typed function for each script on the server of the user keys."""

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
    """A user key as it is stored: wrapped under a key of the ring."""

    key_id: str
    wrapped: bytes


class Gone(StrEnum):
    """The reason why a user key is not there."""

    ERASED = "ERASED"
    UNKNOWN = "UNKNOWN"


async def take_user_key(
    client: ScriptClient, names: UserKeyNames, user_id: str, offered: WrappedKey, keep_ms: int
) -> WrappedKey | None:
    """Return the user's key; the offered one if the user has none.

    Return None if the offered id was used before.
    """
    args = [names.key_prefix, offered.key_id, offered.wrapped, keep_ms]
    reply = await client.call(_TAKE_USER_KEY, [names.owner(user_id)], args)
    return None if reply == b"USED" else WrappedKey(reply[0].decode(), reply[1])


async def read_user_key(
    client: ScriptClient, names: UserKeyNames, key_id: str, keep_ms: int = 0
) -> WrappedKey | Gone:
    """Return the key with this id, and keep it for at least `keep_ms` from now."""
    reply = await client.call(_READ_USER_KEY, [names.key(key_id)], [keep_ms])
    if reply is None or reply == b"ERASED":
        return Gone.UNKNOWN if reply is None else Gone.ERASED
    return WrappedKey(key_id, reply)


async def rewrap_user_key(
    client: ScriptClient, names: UserKeyNames, before: WrappedKey, wrapped: bytes
) -> bool:
    """Replace a wrapped key by the same key wrapped again. Return False if the key has changed meanwhile."""
    return bool(await client.call(_REWRAP_USER_KEY, [names.key(before.key_id)], [before.wrapped, wrapped]))


async def erase_user_key(client: ScriptClient, names: UserKeyNames, user_id: str) -> bool:
    """Erase a user's key. Return True if the user had one."""
    places = [names.owner(user_id), names.new_answer()]
    return bool(await client.call(_ERASE_USER_KEY, places, [names.key_prefix, client.repeated_within_ms]))
