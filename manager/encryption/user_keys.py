"""A key for each user, on a server of their own. Once a key is erased, no copy of its values can be read.

A user's key is 256 random bits, wrapped under a key of the ring, so that neither the server nor the settings
alone can decrypt anything. A session is encrypted under the key that its user had when it was created, and
keeps the key's id in its hash. After an erasure, the user's next session makes a new key. Keys are read for
each call, and no process keeps them. The header of an envelope is ``u`` and the 16 bytes of the key id.
"""

import asyncio
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from agent_runtime.manager.encryption.cipher import KEY_BYTES, Key
from agent_runtime.manager.encryption.key_ring import KeyRing
from agent_runtime.manager.encryption.sealing import USER, CannotDecryptError
from agent_runtime.manager.errors import DecryptionError, StoreError, StoreRefusedError, StoreUnavailableError
from agent_runtime.manager.keys import UserKeyNames
from agent_runtime.manager.scripts import user_keys as scripts
from agent_runtime.manager.scripts.user_keys import Gone, WrappedKey
from agent_runtime.manager.transport.script_client import ScriptClient

KEY_ID_BYTES = 16

#: Time that a key is kept after its last session, milliseconds (one day): two servers' clocks differ.
_LINGER_MS = 86_400_000


class UserKeys:
    """The users' keys.

    Args:
        client: client of the server that holds the users' keys.
        namespace: first part of every key in Redis.
        ring: the keys that wrap the users' keys.
    """

    def __init__(self, client: ScriptClient, namespace: str, ring: KeyRing) -> None:
        self._client = client
        self._names = UserKeyNames(namespace)
        self._ring = ring

    async def take(self, user_id: str, session_ms: int) -> tuple[str, Key]:
        """Return id and key for a new session of a user, with this time to live."""
        with _nothing_written():
            while True:
                taken = await scripts.take_user_key(
                    self._client, self._names, user_id, self._new_key(), session_ms + _LINGER_MS
                )
                if taken is not None:
                    return taken.key_id, await self._ready_to_encrypt(taken)

    async def read_to_encrypt(self, key_id: str) -> Key:
        """Return the key with this id.

        Raises:
            DecryptionError: the key was erased, or is not there.
        """
        with _nothing_written():
            found = await scripts.read_user_key(self._client, self._names, key_id)
            if isinstance(found, Gone):
                raise DecryptionError(f"nothing was written: {_gone(key_id, found)}")
            return await self._ready_to_encrypt(found)

    async def read_to_decrypt(self, key_ids: Iterable[str]) -> dict[str, Key | CannotDecryptError]:
        """Return the keys with these ids; for a key that is not there, the reason."""
        ids = list(key_ids)
        with _nothing_written():
            found = await asyncio.gather(
                *(scripts.read_user_key(self._client, self._names, key_id) for key_id in ids)
            )
        return {key_id: self._key_or_reason(key_id, each) for key_id, each in zip(ids, found, strict=True)}

    async def prolong(self, key_id: str, session_ms: float) -> None:
        """Keep a key for a session that gets this time to live from now."""
        with _nothing_written():
            await scripts.read_user_key(self._client, self._names, key_id, round(session_ms) + _LINGER_MS)

    async def is_there(self, key_id: str) -> bool:
        """Return True if the key with this id is there."""
        return not isinstance(await scripts.read_user_key(self._client, self._names, key_id), Gone)

    async def erase(self, user_id: str) -> bool:
        """Erase a user's key. Return True if the user had one."""
        with _naming_the_server():
            return await scripts.erase_user_key(self._client, self._names, user_id)

    async def aclose(self) -> None:
        await self._client.aclose()

    def _new_key(self) -> WrappedKey:
        key_id = secrets.token_bytes(KEY_ID_BYTES).hex()
        return WrappedKey(key_id, self._wrapped(key_id, secrets.token_bytes(KEY_BYTES)))

    def _wrapped(self, key_id: str, secret: bytes) -> bytes:
        assert self._ring.active is not None  # noqa: S101  (otherwise nothing is encrypted)
        return self._ring.active.for_keys().encrypt(b"user", key_id.encode(), secret)

    def _unwrapped(self, key: WrappedKey) -> bytes:
        return self._ring.key_of(key.wrapped).for_keys().decrypt(b"user", key.key_id.encode(), key.wrapped)

    async def _ready_to_encrypt(self, key: WrappedKey) -> Key:
        """Return the key.

        If the ring has another active key by now, wrap it again, so that the old one can go.
        """
        try:
            secret = self._unwrapped(key)
        except CannotDecryptError as error:
            raise DecryptionError(f"nothing was written: the user's key {key.key_id}: {error}") from error
        if not self._ring.is_active(key.wrapped):
            await scripts.rewrap_user_key(self._client, self._names, key, self._wrapped(key.key_id, secret))
        return _key(key.key_id, secret)

    def _key_or_reason(self, key_id: str, found: WrappedKey | Gone) -> Key | CannotDecryptError:
        if isinstance(found, Gone):
            return CannotDecryptError(_gone(key_id, found))
        try:
            return _key(key_id, self._unwrapped(found))
        except CannotDecryptError as error:
            return CannotDecryptError(f"its user's key {key_id}: {error}")


def _key(key_id: str, secret: bytes) -> Key:
    return Key(USER + bytes.fromhex(key_id), secret)


def _gone(key_id: str, how: Gone) -> str:
    what = "was erased" if how is Gone.ERASED else "is not there"
    return f"its user's key {key_id} {what}"


@contextmanager
def _naming_the_server() -> Iterator[None]:
    """Let errors name the server of the users' keys."""
    try:
        yield
    except StoreError as error:
        raise type(error)(f"{error} (the server of AGENT_SESSIONS_USER_KEYS_URL)") from error


@contextmanager
def _nothing_written() -> Iterator[None]:
    """Map errors of calls before anything is written: even without a reply, nothing was applied."""
    try:
        with _naming_the_server():
            yield
    except StoreRefusedError:
        raise
    except StoreError as error:
        raise StoreUnavailableError(str(error)) from error
