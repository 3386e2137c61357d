"""Which key encrypts what, as the manager asks for it; here none is set, and values stay in the clear."""

from collections.abc import Iterable

from agent_runtime.manager.encryption.sealing import IN_THE_CLEAR, NO_KEYS, Opener, Sealer
from agent_runtime.manager.errors import SettingsError
from agent_runtime.manager.keys import Keys


class Vault:
    """Without keys: everything stays in the clear, at no cost."""

    async def sealer_of_new(self, user_id: str, session_id: str, session_ms: int) -> Sealer:
        """What seals the values of a session that is to be created, and to live for so long."""
        return IN_THE_CLEAR

    async def sealer_of(self, keys: Keys, session_id: str) -> Sealer:
        """What seals further values of a session."""
        return IN_THE_CLEAR

    def sealer_at_hand(self, session_id: str) -> Sealer | None:
        """What seals values of a session, new or not; None where a server has to be asked first."""
        return IN_THE_CLEAR

    def opener_at_hand(self) -> Opener | None:
        """What opens any stored value; None where a server has to be asked first."""
        return NO_KEYS

    async def opener(self, stored: Iterable[bytes]) -> Opener:
        """What opens these stored values."""
        return NO_KEYS

    async def prolong(self, keys: Keys, session_id: str, session_ms: float) -> None:
        """To be called before a session gets a life of so long from now: its key has to outlive it."""

    async def erase_user_key(self, user_id: str) -> bool:
        """Whether the user had a key."""
        raise SettingsError("AGENT_SESSIONS_USER_KEYS_URL is not set, so users have no keys of their own")

    async def aclose(self) -> None:
        """Closes the connections of the running event loop."""
