"""The interfaces that encrypt and decrypt the values of sessions; here, without keys, values stay in the
clear.
"""

#: Format bytes of encrypted values: under a key of the ring, and under a user's own key.
RING, USER = b"e", b"u"

#: Kinds of values.
METADATA, CHECKPOINT = b"metadata", b"checkpoint"
#: Kinds too: the rest of a recipe, encrypted with its checkpoint id and list of chunks; and a chunk, with its
#: name.
CHUNKED_CHECKPOINT, CHUNK = b"pieced checkpoint", b"piece"


class CannotDecryptError(ValueError):
    """A value cannot be decrypted. The message names the key, and shows nothing of the value."""


class Encryptor:
    """Encrypts the values of one session. This base class leaves them as they are."""

    #: Id of the user's key, for the session's hash; '' if the key is not a user's.
    user_key_id = ""

    def encrypt(self, kind: bytes, name: bytes, value: bytes) -> bytes:
        """Return the value to write for `value`, a stored value in the clear.

        Args:
            kind: `METADATA`, `CHECKPOINT`, `CHUNKED_CHECKPOINT` or `CHUNK`.
            name: the metadata key, the checkpoint's id, and so on. A value can be decrypted only with its
                name.
        """
        return value

    async def confirm(self) -> None:
        """Check that the key still exists. Called after the values are written, before the call returns.

        Raises:
            DecryptionError: the key was erased meanwhile, so the values cannot be read.
            StoreOutcomeUnknownError: the values are written, and it is unknown whether they can be read.
        """


class Decryptor:
    """Decrypts the values of sessions. This base class knows no keys."""

    def decrypt(self, session_id: str, kind: bytes, name: bytes, stored: bytes) -> bytes:
        """Return the stored value in the clear.

        Raises:
            CannotDecryptError: there is no key for the value, or it was altered or moved from another place.
        """
        if stored[:1] in (RING, USER):
            raise CannotDecryptError("it is encrypted, and AGENT_SESSIONS_ENCRYPTION_KEYS is not set")
        return stored


#: Encryptor and decryptor of managers without keys.
IN_THE_CLEAR, NO_KEYS = Encryptor(), Decryptor()
