"""AES-256-GCM, and the envelope of an encrypted value.

    <format byte and key id> <nonce: 12 bytes> <ciphertext and tag>

The first part, the *header*, names the key. The nonce is random. Each session has a key of its own, derived
from the named one, so that no key encrypts so many values that two nonces might be equal. A value can be
decrypted only with the key id, session, kind and name that it was encrypted with: they are the associated
data.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from agent_runtime.manager.encryption.sealing import CannotDecryptError

KEY_BYTES, _NONCE_BYTES, _DIGEST_BYTES = 32, 12, 16


class Cipher:
    """Encrypts and decrypts the values of one scope, for example a session, under one key."""

    __slots__ = ("_aead", "_header", "_scope")

    def __init__(self, header: bytes, secret: bytes, scope: bytes) -> None:
        self._header = header
        self._scope = scope
        self._aead = AESGCM(HKDFExpand(SHA256(), KEY_BYTES, b"agent-sessions " + scope).derive(secret))

    def encrypt(self, kind: bytes, name: bytes, plain: bytes) -> bytes:
        """Return the envelope of a value."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._header + nonce + self._aead.encrypt(nonce, plain, self._place(kind, name))

    def decrypt(self, kind: bytes, name: bytes, envelope: bytes) -> bytes:
        """Return the value in an envelope that begins with the header of this cipher's key.

        Raises:
            CannotDecryptError: the value was altered, or belongs to another place or key.
        """
        start = len(self._header)
        nonce, body = envelope[start : start + _NONCE_BYTES], envelope[start + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, body, self._place(kind, name))
        except (InvalidTag, ValueError) as error:  # ValueError: cut short in the nonce
            raise CannotDecryptError(
                "it was altered, or moved from another place, or encrypted under another key of that id"
            ) from error

    def _place(self, kind: bytes, name: bytes) -> bytes:
        """Return the associated data of a value, which names its place.

        Each part carries its length, so that no two places have the same associated data.
        """
        parts = (self._header, self._scope, kind, name)
        return b"".join(len(part).to_bytes(4) + part for part in parts)


class Key:
    """A key of 256 bits, and the header of the envelopes made with it."""

    __slots__ = ("_header", "_secret")

    def __init__(self, header: bytes, secret: bytes) -> None:
        self._header = header
        self._secret = secret

    def for_session(self, session_id: str) -> Cipher:
        """Return the cipher for the values of a session."""
        return Cipher(self._header, self._secret, b"session " + session_id.encode())

    def for_keys(self) -> Cipher:
        """Return the cipher for wrapping other keys."""
        return Cipher(self._header, self._secret, b"keys")

    def digest(self) -> str:
        """Return a text that another key of this id has not, and that tells nothing of the key."""
        return HKDFExpand(SHA256(), _DIGEST_BYTES, b"agent-sessions digest").derive(self._secret).hex()
