"""Encrypted values decrypt in their place, under their key and whole; never otherwise."""

import hashlib
import hmac
import secrets

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agent_runtime.manager.encryption.cipher import Key
from agent_runtime.manager.encryption.key_ring import KeyRing
from agent_runtime.manager.encryption.sealing import CHECKPOINT, METADATA, RING, USER, CannotDecryptError
from tests.support.encryption import secret_of

_SECRET = bytes(range(32))
_PLAIN = b'j{"turn":1}'


# Stored bytes outlive the version that stored them. These were made once by this code, and checked against
# another implementation of HKDF and AES-GCM (`test_the_format_is_what_its_description_says`).
_SEALED_BY_RING = bytes.fromhex(
    "6507323032362d313100000000000000000000000043d73292e954686adcf6a3131db0e36027626cdcddf451a159f402"
)
_SEALED_BY_USER = bytes.fromhex(
    "75000102030405060708090a0b0c0d0e0f00000000000000000000000043d73292e954686adcf6a3479f94f2ebf8c32e"
    "d888fa2b53eee17e"
)


def test_what_is_sealed_under_a_key_of_the_ring_never_changes() -> None:
    key = KeyRing({"2026-11": _SECRET}, "2026-11").key_of(_SEALED_BY_RING)
    assert key.for_session("sess_1").decrypt(CHECKPOINT, b"ckpt_1", _SEALED_BY_RING) == _PLAIN
    assert _SEALED_BY_RING.startswith(b"e\x072026-11" + bytes(12))


def test_what_is_sealed_under_a_users_key_never_changes() -> None:
    key = Key(USER + bytes(range(16)), _SECRET)
    assert key.for_session("sess_1").decrypt(METADATA, b"topic", _SEALED_BY_USER) == _PLAIN
    assert _SEALED_BY_USER.startswith(b"u" + bytes(range(16)) + bytes(12))


def test_the_format_is_what_its_description_says() -> None:
    """Make the same bytes with HKDF by hand (RFC 5869) and the associated data written out."""
    header, scope = b"e\x072026-11", b"session sess_1"
    derived = hmac.digest(_SECRET, b"agent-sessions " + scope + b"\x01", hashlib.sha256)
    parts = (header, scope, b"checkpoint", b"ckpt_1")
    place = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    nonce = bytes(12)
    assert header + nonce + AESGCM(derived).encrypt(nonce, _PLAIN, place) == _SEALED_BY_RING


def _sealed() -> tuple[Key, bytes]:
    key = Key(RING + b"\x02k1", secrets.token_bytes(32))
    return key, key.for_session("sess_1").encrypt(METADATA, b"topic", _PLAIN)


def test_it_opens_where_it_was_sealed() -> None:
    key, sealed = _sealed()
    assert key.for_session("sess_1").decrypt(METADATA, b"topic", sealed) == _PLAIN


@pytest.mark.parametrize(
    ("session_id", "kind", "name"),
    [
        ("sess_2", METADATA, b"topic"),
        ("sess_1", CHECKPOINT, b"topic"),
        ("sess_1", METADATA, b"topi"),
        ("sess_1", METADATA, b""),
        ("sess_1 ", METADATA, b"topic"),
        ("", METADATA, b"topic"),
    ],
)
def test_moved_to_another_place_it_does_not_open(session_id: str, kind: bytes, name: bytes) -> None:
    key, sealed = _sealed()
    with pytest.raises(CannotDecryptError, match="altered, or moved"):
        key.for_session(session_id).decrypt(kind, name, sealed)


# A session's key alone does not guarantee this, because kind and name do not go into it.
def test_kind_and_name_cannot_be_cut_in_another_place() -> None:
    key = Key(RING + b"\x02k1", _SECRET)
    sealed = key.for_session("sess_1").encrypt(b"metadata", b"ab", _PLAIN)
    with pytest.raises(CannotDecryptError):
        key.for_session("sess_1").decrypt(b"metadataa", b"b", sealed)


def test_altered_in_any_bit_it_does_not_open() -> None:
    ring = KeyRing({"k1": secret_of("k1")}, "k1")
    assert ring.active is not None
    sealed = ring.active.for_session("sess_1").encrypt(METADATA, b"topic", _PLAIN)
    for place in range(len(sealed)):
        for bit in range(8):
            altered = bytearray(sealed)
            altered[place] ^= 1 << bit
            with pytest.raises(CannotDecryptError):
                ring.key_of(bytes(altered)).for_session("sess_1").decrypt(METADATA, b"topic", bytes(altered))


def test_cut_anywhere_or_lengthened_it_does_not_open() -> None:
    ring = KeyRing({"k1": secret_of("k1")}, "k1")
    assert ring.active is not None
    sealed = ring.active.for_session("sess_1").encrypt(METADATA, b"topic", _PLAIN)
    for spoilt in [sealed[:length] for length in range(1, len(sealed))] + [sealed + b"\x00"]:
        with pytest.raises(CannotDecryptError):
            ring.key_of(spoilt).for_session("sess_1").decrypt(METADATA, b"topic", spoilt)


def test_under_another_key_of_the_same_id_it_does_not_open() -> None:
    _, sealed = _sealed()
    with pytest.raises(CannotDecryptError, match="another key of that id"):
        Key(RING + b"\x02k1", _SECRET).for_session("sess_1").decrypt(METADATA, b"topic", sealed)


def test_the_same_value_is_never_sealed_alike() -> None:
    cipher = Key(RING + b"\x02k1", _SECRET).for_session("sess_1")
    sealed = {cipher.encrypt(METADATA, b"topic", _PLAIN) for _ in range(1_000)}
    assert len(sealed) == 1_000
    assert len({each[4:16] for each in sealed}) == 1_000, "nonces"


def test_errors_and_reprs_show_no_key_and_no_plaintext() -> None:
    key = Key(RING + b"\x02k1", _SECRET)
    cipher = key.for_session("sess_1")
    sealed = cipher.encrypt(METADATA, b"topic", _PLAIN)
    with pytest.raises(CannotDecryptError) as caught:
        cipher.decrypt(METADATA, b"other", sealed)
    shown = f"{caught.value!r} {caught.value.__cause__!r} {key!r} {cipher!r}"
    assert "turn" not in shown
    assert repr(_SECRET)[2:-1] not in shown
    assert _SECRET.hex() not in shown
