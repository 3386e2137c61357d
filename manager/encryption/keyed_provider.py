"""The key provider for stores with keys."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from agent_runtime.manager.after_fork import renew_in_child
from agent_runtime.manager.encryption.cipher import Cipher, Key
from agent_runtime.manager.encryption.key_ring import KeyRing
from agent_runtime.manager.encryption.providers import KeyProvider
from agent_runtime.manager.encryption.sealing import (
    IN_THE_CLEAR,
    RING,
    USER,
    CannotDecryptError,
    Decryptor,
    Encryptor,
)
from agent_runtime.manager.encryption.user_keys import KEY_ID_BYTES, UserKeys
from agent_runtime.manager.errors import DecryptionError, SettingsError, StoreError, StoreOutcomeUnknownError
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts import sessions as scripts
from agent_runtime.manager.settings import ENV_PREFIX, Settings
from agent_runtime.manager.transport.async_twin import client_from_url
from agent_runtime.manager.transport.script_client import ScriptClient

#: Most sessions whose key id a process remembers: some 2 MB.
_REMEMBERED = 10_000


class KeyedProvider(KeyProvider):
    """Encrypts with the active key of the ring, or with the key of the session's user.

    Decrypts with any key.
    """

    def __init__(self, settings: Settings, client: ScriptClient) -> None:
        self._ring = KeyRing.from_settings(settings)
        self._refuses_plain = settings.encryption_required
        if self._refuses_plain and self._ring.active is None:
            raise SettingsError(f"{ENV_PREFIX}ENCRYPTION_REQUIRED needs a key that encrypts what is written")
        self._client = client
        self._user_keys = None
        if settings.user_keys_url is not None:
            key_client = _user_key_client(settings, settings.user_keys_url)
            self._user_keys = UserKeys(key_client, settings.namespace, self._ring)
        self._key_ids = _KeyIds()

    async def encryptor_of_new(self, user_id: str, session_id: str, session_ms: int) -> Encryptor:
        if self._user_keys is None or self._ring.active is None:
            return self._ring_encryptor(session_id)
        key_id, key = await self._user_keys.take(user_id, session_ms)
        return _UserEncryptor(key.for_session(session_id), key_id, self._user_keys)

    async def encryptor_of(self, keys: Keys, session_id: str) -> Encryptor:
        if self._user_keys is None or self._ring.active is None:
            return self._ring_encryptor(session_id)
        remembered = self._key_ids.get(session_id)
        key_id = remembered or await self._find_key_id(keys, session_id)
        if not key_id:
            return self._ring_encryptor(session_id)
        try:
            key = await self._user_keys.read_to_encrypt(key_id)
        except DecryptionError:
            if not remembered:
                raise
            self._key_ids.forget(session_id)  # perhaps the key of an earlier session with the same id
            return await self.encryptor_of(keys, session_id)
        return _UserEncryptor(key.for_session(session_id), key_id, self._user_keys)

    def encryptor_at_hand(self, session_id: str) -> Encryptor | None:
        if self._user_keys is None or self._ring.active is None:
            return self._ring_encryptor(session_id)
        return None

    def decryptor_at_hand(self) -> Decryptor | None:
        return None if self._user_keys else _KeyedDecryptor(self._ring, {}, self._refuses_plain)

    async def decryptor(self, stored: Iterable[bytes]) -> Decryptor:
        user_keys: Mapping[str, Key | CannotDecryptError] = {}
        if self._user_keys is not None and (key_ids := {_user_key_id(each) for each in stored} - {""}):
            user_keys = await self._user_keys.read_to_decrypt(key_ids)
        return _KeyedDecryptor(self._ring, user_keys, self._refuses_plain)

    def digests(self) -> dict[str, str]:
        return self._ring.digests()

    async def prolong(self, keys: Keys, session_id: str, session_ms: float) -> None:
        if self._user_keys is None:
            return
        key_id = self._key_ids.get(session_id) or await self._find_key_id(keys, session_id)
        if key_id:
            await self._user_keys.prolong(key_id, session_ms)

    async def erase_user_key(self, user_id: str) -> bool:
        if self._user_keys is None:
            return await super().erase_user_key(user_id)
        return await self._user_keys.erase(user_id)

    async def aclose(self) -> None:
        if self._user_keys is not None:
            await self._user_keys.aclose()

    def _ring_encryptor(self, session_id: str) -> Encryptor:
        key = self._ring.active
        return IN_THE_CLEAR if key is None else _RingEncryptor(key.for_session(session_id))

    async def _find_key_id(self, keys: Keys, session_id: str) -> str:
        """Return the id of the user's key that encrypts a session; '' if a key of the ring does."""
        _, [found] = await scripts.get_sessions(self._client, keys, [session_id])
        key_id = b"" if found is None else found.fields.get(b"user_key", b"")
        if key_id:  # otherwise, the session may be created later, or created again
            self._key_ids.remember(session_id, key_id.decode())
        return key_id.decode()


class _RingEncryptor(Encryptor):
    """Encrypts with a key of the ring."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def encrypt(self, kind: bytes, name: bytes, value: bytes) -> bytes:
        return self._cipher.encrypt(kind, name, value)


class _UserEncryptor(_RingEncryptor):
    """Encrypts with the key of a user."""

    def __init__(self, cipher: Cipher, key_id: str, user_keys: UserKeys) -> None:
        super().__init__(cipher)
        self.user_key_id = key_id
        self._user_keys = user_keys

    async def confirm(self) -> None:
        try:
            is_there = await self._user_keys.is_there(self.user_key_id)
        except StoreError as error:
            raise StoreOutcomeUnknownError(f"written, but perhaps under an erased key: {error}") from error
        if not is_there:
            raise DecryptionError(
                f"the key {self.user_key_id} of the session's user was erased meanwhile:"
                " what was written cannot be read"
            )


class _KeyedDecryptor(Decryptor):
    """Decrypts the values of one call.

    It keeps ciphers, so it must not outlive the call: users' keys are not kept.
    """

    def __init__(
        self, ring: KeyRing, user_keys: Mapping[str, Key | CannotDecryptError], refuses_plain: bool
    ) -> None:
        self._ring = ring
        self._user_keys = user_keys
        self._refuses_plain = refuses_plain
        self._ciphers: dict[tuple[Key, str], Cipher] = {}

    def decrypt(self, session_id: str, kind: bytes, name: bytes, stored: bytes) -> bytes:
        if stored[:1] == RING:
            key = self._ring.key_of(stored)
        elif stored[:1] == USER:
            key = self._user_key_of(stored)
        elif self._refuses_plain:
            raise CannotDecryptError(f"it is not encrypted, and {ENV_PREFIX}ENCRYPTION_REQUIRED is set")
        else:
            return stored
        cipher = self._ciphers.get((key, session_id))
        if cipher is None:
            cipher = self._ciphers[key, session_id] = key.for_session(session_id)
        return cipher.decrypt(kind, name, stored)

    def _user_key_of(self, stored: bytes) -> Key:
        key_id = _user_key_id(stored)
        found = self._user_keys.get(key_id)
        if len(stored) < 1 + KEY_ID_BYTES:
            raise CannotDecryptError("it is encrypted, and cut short")
        if found is None:
            raise CannotDecryptError(
                f"it is encrypted under its user's key {key_id}, and {ENV_PREFIX}USER_KEYS_URL is not set"
            )
        if isinstance(found, CannotDecryptError):
            raise found
        return found


class _KeyIds:
    """Ids of users' keys by session, for the sessions last used. A session never changes its key."""

    def __init__(self) -> None:
        self._begin()
        renew_in_child(self._begin)

    def _begin(self) -> None:
        self._by_session: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, session_id: str) -> str | None:
        with self._lock:
            if session_id in self._by_session:
                self._by_session.move_to_end(session_id)
            return self._by_session.get(session_id)

    def remember(self, session_id: str, key_id: str) -> None:
        with self._lock:
            self._by_session[session_id] = key_id
            if len(self._by_session) > _REMEMBERED:
                self._by_session.popitem(last=False)

    def forget(self, session_id: str) -> None:
        with self._lock:
            self._by_session.pop(session_id, None)


def _user_key_id(stored: bytes) -> str:
    """Return the id of the user's key that encrypted a value; '' if no user's key did."""
    return stored[1 : 1 + KEY_ID_BYTES].hex() if stored[:1] == USER else ""


def _user_key_client(settings: Settings, url: str) -> ScriptClient:
    """Return a client of the server that holds the users' keys."""
    conn = client_from_url(f"{ENV_PREFIX}USER_KEYS_URL", url, settings.connect_timeout_seconds)
    return ScriptClient(
        conn, timeout_seconds=settings.call_timeout_seconds, connect_retries=settings.connect_retries
    )
