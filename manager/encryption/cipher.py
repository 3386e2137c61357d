"""AES-256-GCM, and the envelope of what it sealed.

    <format byte and key id> <nonce: 12 bytes> <ciphertext and tag>

The first part names the key. The nonce is random, and each session has a key of its own, derived from the
named one, so that no key seals so many values that two nonces might meet. What is sealed opens only under
the same key id, session, kind and name: they are the associated data.
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from agent_runtime.manager.encryption.sealing import CannotDecryptError

KEY_BYTES, _NONCE_BYTES = 32, 12


class Cipher:
    """Seals and opens values of one scope, a session's for example, under one key."""

    __slots__ = ("_aead", "_header", "_scope")

    def __init__(self, header: bytes, secret: bytes, scope: bytes) -> None:
        self._header = header
        self._scope = scope
        self._aead = AESGCM(HKDFExpand(SHA256(), KEY_BYTES, b"agent-sessions " + scope).derive(secret))

    def encrypt(self, kind: bytes, name: bytes, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return self._header + nonce + self._aead.encrypt(nonce, plain, self._place(kind, name))

    def decrypt(self, kind: bytes, name: bytes, sealed: bytes) -> bytes:
        """What was sealed; `sealed` begins with the header of this cipher's key."""
        start = len(self._header)
        nonce, body = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, body, self._place(kind, name))
        except (InvalidTag, ValueError) as error:  # ValueError: cut short in the nonce
            raise CannotDecryptError(
                "it was altered, or moved from another place, or sealed under another key of that id"
            ) from error

    def _place(self, kind: bytes, name: bytes) -> bytes:
        """Where a value belongs. Each part carries its length, so that no two places look the same."""
        parts = (self._header, self._scope, kind, name)
        return b"".join(len(part).to_bytes(4) + part for part in parts)


class Key:
    """A key of 256 bits, and how values say that it sealed them."""

    __slots__ = ("_header", "_secret")

    def __init__(self, header: bytes, secret: bytes) -> None:
        self._header = header
        self._secret = secret

    def for_session(self, session_id: str) -> Cipher:
        return Cipher(self._header, self._secret, b"session " + session_id.encode())

    def for_keys(self) -> Cipher:
        """For sealing other keys."""
        return Cipher(self._header, self._secret, b"keys")
