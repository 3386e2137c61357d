"""The interface that gives the manager encryptors and decryptors; without keys, values stay in the clear."""

from collections.abc import Iterable

from agent_runtime.manager.encryption.sealing import IN_THE_CLEAR, NO_KEYS, Decryptor, Encryptor
from agent_runtime.manager.errors import SettingsError
from agent_runtime.manager.keys import Keys


class KeyProvider:
    """The key provider without keys: everything stays in the clear, at no cost."""

    async def encryptor_of_new(self, user_id: str, session_id: str, session_ms: int) -> Encryptor:
        """Return the encryptor for a session that will be created with this time to live."""
        return IN_THE_CLEAR

    async def encryptor_of(self, keys: Keys, session_id: str) -> Encryptor:
        """Return the encryptor for further values of a session."""
        return IN_THE_CLEAR

    def encryptor_at_hand(self, session_id: str) -> Encryptor | None:
        """Return the encryptor for a session, new or not; None if a server has to be asked first."""
        return IN_THE_CLEAR

    def decryptor_at_hand(self) -> Decryptor | None:
        """Return a decryptor for any stored value; None if a server has to be asked first."""
        return NO_KEYS

    async def decryptor(self, stored: Iterable[bytes]) -> Decryptor:
        """Return a decryptor for these stored values."""
        return NO_KEYS

    def digests(self) -> dict[str, str]:
        """Return a digest of each key of the ring by key id, which tells nothing of the key."""
        return {}

    async def prolong(self, keys: Keys, session_id: str, session_ms: float) -> None:
        """Keep a session's key for long enough. Called before the session gets a new time to live."""

    async def erase_user_key(self, user_id: str) -> bool:
        """Erase a user's key. Return True if the user had one."""
        raise SettingsError("AGENT_SESSIONS_USER_KEYS_URL is not set, so users have no keys of their own")

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
