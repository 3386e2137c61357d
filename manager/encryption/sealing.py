"""What seals and opens the values of sessions: in the clear here, where no keys are set."""

from collections.abc import Iterable

from manager.errors import SettingsError
from manager.keys import Keys

#: Format bytes of what is encrypted: under a key of the ring, or under a user's own.
RING, USER = b"e", b"u"

#: Kinds of values.
METADATA, CHECKPOINT = b"metadata", b"checkpoint"
#: A checkpoint's JSON around its pieces, sealed with its id and the list of them; and a piece, with its name.
PIECED_CHECKPOINT, PIECE = b"pieced checkpoint", b"piece"


class CannotOpenError(ValueError):
    """A value does not open. The message says under which key, and nothing of what it holds."""


class Sealer:
    """Seals the values of one session. This one leaves them as they are."""

    #: Id of the user's key, for the session's hash; '' where it is not a user's.
    user_key_id = ""

    def seal(self, kind: bytes, name: bytes, value: bytes) -> bytes:
        """The stored value to write for `value`, a stored value in the clear.

        Args:
            kind: `METADATA`, `CHECKPOINT`, `PIECED_CHECKPOINT` or `PIECE`.
            name: the key of the metadata, or the checkpoint's id, and so on.
        """
        return value

    async def confirm(self) -> None:
        """To be called once the values are written, and before the caller is told.

        Raises:
            DecryptionError: the key was erased meanwhile, so they cannot be read.
            StoreOutcomeUnknownError: they are written, and whether they can be read is not known.
        """


class Opener:
    """Opens the values of sessions. This one knows no keys."""

    def open(self, session_id: str, kind: bytes, name: bytes, stored: bytes) -> bytes:
        """The stored value in the clear that was sealed.

        Raises:
            CannotOpenError: it does not open, or is of another place.
        """
        if stored[:1] in (RING, USER):
            raise CannotOpenError("it is encrypted, and AGENT_SESSIONS_ENCRYPTION_KEYS is not set")
        return stored


#: For managers without keys.
IN_THE_CLEAR, NO_KEYS = Sealer(), Opener()


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
