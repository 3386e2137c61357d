"""Which key encrypts what, as the manager asks for it; here none is set, and values stay in the clear."""

from collections.abc import Iterable

from agent_runtime.manager.encryption.sealing import IN_THE_CLEAR, NO_KEYS, Decryptor, Encryptor
from agent_runtime.manager.errors import SettingsError
from agent_runtime.manager.keys import Keys


class KeyProvider:
    """Without keys: everything stays in the clear, at no cost."""

    async def encryptor_of_new(self, user_id: str, session_id: str, session_ms: int) -> Encryptor:
        """What seals the values of a session that is to be created, and to live for so long."""
        return IN_THE_CLEAR

    async def encryptor_of(self, keys: Keys, session_id: str) -> Encryptor:
        """What seals further values of a session."""
        return IN_THE_CLEAR

    def encryptor_at_hand(self, session_id: str) -> Encryptor | None:
        """What seals values of a session, new or not; None where a server has to be asked first."""
        return IN_THE_CLEAR

    def decryptor_at_hand(self) -> Decryptor | None:
        """What opens any stored value; None where a server has to be asked first."""
        return NO_KEYS

    async def decryptor(self, stored: Iterable[bytes]) -> Decryptor:
        """What opens these stored values."""
        return NO_KEYS

    async def prolong(self, keys: Keys, session_id: str, session_ms: float) -> None:
        """To be called before a session gets a life of so long from now: its key has to outlive it."""

    async def erase_user_key(self, user_id: str) -> bool:
        """Whether the user had a key."""
        raise SettingsError("AGENT_SESSIONS_USER_KEYS_URL is not set, so users have no keys of their own")

    async def aclose(self) -> None:
        """Closes the connections of the running event loop."""
