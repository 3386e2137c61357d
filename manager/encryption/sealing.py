"""What seals and opens the values of sessions: in the clear here, where no keys are set."""

#: Format bytes of what is encrypted: under a key of the ring, or under a user's own.
RING, USER = b"e", b"u"

#: Kinds of values.
METADATA, CHECKPOINT = b"metadata", b"checkpoint"
#: A checkpoint's JSON around its chunks, sealed with its id and the list of them; and a chunk, with its name.
CHUNKED_CHECKPOINT, CHUNK = b"pieced checkpoint", b"piece"


class CannotDecryptError(ValueError):
    """A value does not open. The message says under which key, and nothing of what it holds."""


class Encryptor:
    """Seals the values of one session. This one leaves them as they are."""

    #: Id of the user's key, for the session's hash; '' where it is not a user's.
    user_key_id = ""

    def encrypt(self, kind: bytes, name: bytes, value: bytes) -> bytes:
        """The stored value to write for `value`, a stored value in the clear.

        Args:
            kind: `METADATA`, `CHECKPOINT`, `CHUNKED_CHECKPOINT` or `CHUNK`.
            name: the key of the metadata, or the checkpoint's id, and so on.
        """
        return value

    async def confirm(self) -> None:
        """To be called once the values are written, and before the caller is told.

        Raises:
            DecryptionError: the key was erased meanwhile, so they cannot be read.
            StoreOutcomeUnknownError: they are written, and whether they can be read is not known.
        """


class Decryptor:
    """Opens the values of sessions. This one knows no keys."""

    def decrypt(self, session_id: str, kind: bytes, name: bytes, stored: bytes) -> bytes:
        """The stored value in the clear that was sealed.

        Raises:
            CannotDecryptError: it does not open, or is of another place.
        """
        if stored[:1] in (RING, USER):
            raise CannotDecryptError("it is encrypted, and AGENT_SESSIONS_ENCRYPTION_KEYS is not set")
        return stored


#: For managers without keys.
IN_THE_CLEAR, NO_KEYS = Encryptor(), Decryptor()
