"""The ring: the keys of the settings, by id. One of them encrypts; all of them decrypt.

The header of an envelope is ``e``, one byte with the length of the key id, and the key id.
"""

import base64
import binascii
import json
import re
from typing import Any

from agent_runtime.manager.encryption.cipher import KEY_BYTES, Key
from agent_runtime.manager.encryption.sealing import RING, CannotDecryptError
from agent_runtime.manager.errors import SettingsError
from agent_runtime.manager.settings import ENV_PREFIX, Settings

#: Set in place of a key id: write in the clear, and go on reading encrypted values.
NO_KEY = "none"

_KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")


class KeyRing:
    """Keys by key id.

    Args:
        secrets: 32 bytes for each key id.
        active_id: id of the key that encrypts; None to encrypt nothing.
    """

    def __init__(self, secrets: dict[str, bytes], active_id: str | None) -> None:
        self._keys = {_header(key_id): Key(_header(key_id), secret) for key_id, secret in secrets.items()}
        self._active_header = None if active_id is None else _header(active_id)

    @classmethod
    def from_settings(cls, settings: Settings) -> "KeyRing":
        """Return the ring of the setting `encryption_keys`.

        Raises:
            SettingsError: the setting is wrong. The message shows no part of a key.
        """
        assert settings.encryption_keys is not None  # noqa: S101  (checked by `open_key_provider`)
        secrets = _parsed(settings.encryption_keys.get_secret_value())
        active_id = settings.encryption_key_id or next(iter(secrets))
        if active_id == NO_KEY:
            return cls(secrets, None)
        if active_id not in secrets:
            raise SettingsError(f"{ENV_PREFIX}ENCRYPTION_KEY_ID names no key of {ENV_PREFIX}ENCRYPTION_KEYS")
        return cls(secrets, active_id)

    @property
    def active(self) -> Key | None:
        """Return the key that encrypts; None if values are written in the clear."""
        return None if self._active_header is None else self._keys[self._active_header]

    def digests(self) -> dict[str, str]:
        """Return a digest of each key by key id. Keys are random, so nobody can guess one from its digest."""
        return {header[2:].decode(): key.digest() for header, key in self._keys.items()}

    def is_active(self, envelope: bytes) -> bool:
        """Return True if the envelope was made with the key that encrypts now."""
        return header_of(envelope) == self._active_header

    def key_of(self, envelope: bytes) -> Key:
        """Return the key that an envelope names.

        Raises:
            CannotDecryptError: the ring has no such key.
        """
        header = header_of(envelope)
        if header not in self._keys:
            name = repr(header[2:].decode(errors="backslashreplace"))
            raise CannotDecryptError(
                f"it is encrypted under the key {name}, which is not in {ENV_PREFIX}ENCRYPTION_KEYS"
            )
        return self._keys[header]


def header_of(envelope: bytes) -> bytes:
    """Return the part of an envelope that names a key of the ring."""
    return envelope[: 2 + envelope[1]] if len(envelope) > 1 else envelope


def _header(key_id: str) -> bytes:
    return RING + bytes([len(key_id)]) + key_id.encode()


def _parsed(text: str) -> dict[str, bytes]:
    """Return 32 bytes by key id. Errors are raised from None: the causes would show keys."""
    name = f"{ENV_PREFIX}ENCRYPTION_KEYS"
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        raise SettingsError(f"{name} must be a JSON object: it is not JSON") from None
    if not isinstance(pairs, list) or not pairs or not all(isinstance(pair, tuple) for pair in pairs):
        raise SettingsError(f"{name} must be a JSON object with a key in base64 for each key id")
    secrets: dict[str, bytes] = {}
    for key_id, encoded in pairs:
        if not _KEY_ID.fullmatch(key_id) or key_id == NO_KEY or key_id in secrets:
            raise SettingsError(  # not naming the id: somebody may have put the key in its place
                f"{name}: each key id must be 1 to 32 letters, digits, '.', '_' and '-', must occur once,"
                f" and must not be {NO_KEY!r}"
            )
        secrets[key_id] = _secret(f"{name}: the key {key_id!r}", encoded)
    return secrets


def _secret(name: str, encoded: Any) -> bytes:
    try:
        secret = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise SettingsError(f"{name} must be {KEY_BYTES} bytes in base64")
    return secret
