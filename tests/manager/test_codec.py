"""Stored values: one format byte, and nothing that was not written so is taken for a value."""

import itertools
import zlib
from typing import Any

import pytest

from agent_runtime.manager import CorruptDataError, SettingsError
from agent_runtime.manager.chunks.chunker import cut
from agent_runtime.manager.chunks.recipe import Stream
from agent_runtime.manager.codec import (
    checkpoint_json,
    decode_checkpoint,
    decode_metadata,
    encode_metadata,
    encrypt_recipe,
    packed,
)
from agent_runtime.manager.encryption.sealing import IN_THE_CLEAR, NO_KEYS
from agent_runtime.manager.scripts.checkpoints import StoredCheckpoint
from agent_runtime.manager.scripts.replies import StoredSession
from agent_runtime.manager.settings import load_settings
from agent_runtime.manager.validation import LARGEST_CHECKPOINT

_OBJECT = b'{"a":1}'

#: Bytes that no version has written, with what is said of each.
UNREADABLE = {
    "nothing": (b"", "unknown format byte b''"),
    "no format byte": (_OBJECT, "unknown format byte b'{'"),
    "a format of the future": (b"?" + _OBJECT, r"unknown format byte b'\?'"),
    "no payload": (b"j", "Expecting value"),
    "cut JSON": (b"j" + _OBJECT[:-1], "Expecting"),
    "two values": (b"j" + _OBJECT + _OBJECT, "Extra data"),
    "not UTF-8": (b'j{"a":"\xff"}', "utf-8"),
    "UTF-16": (b"j" + _OBJECT.decode().encode("utf-16"), "utf-8"),
    "no number": (b'j{"a":NaN}', "NaN is not JSON"),
    "an endless number": (b'j{"a":-Infinity}', "-Infinity is not JSON"),
    "a number too long to read": (b"j" + b"1" * 5_000, "digits"),
    "endless nesting": (b"j" + b"[" * 200_000, "recursion"),
    "no compressed data": (b"z" + _OBJECT, "unsupported compress method"),
    "nothing compressed": (b"z", "cut short"),
    "cut compressed data": (b"z" + zlib.compress(_OBJECT)[:-1], "cut short"),
    "something behind compressed data": (b"z" + zlib.compress(_OBJECT) + b"x", "something follows"),
    "compressed data with a wrong sum": (b"z" + zlib.compress(_OBJECT)[:-1] + b"x", "Incorrect checksum"),
    "compressed bytes": (b"z" + zlib.compress(b"\xff"), "utf-8"),
}


def _decode_checkpoint(stored: bytes) -> Any:
    return decode_checkpoint("sess_1", StoredCheckpoint("ckpt_1", b"k:c:1", 0, stored), NO_KEYS)


def _decode_metadata(fields: dict[bytes, bytes]) -> Any:
    return decode_metadata(StoredSession("sess_1", b"k:s:1", fields), NO_KEYS)


_unreadable = pytest.mark.parametrize(("stored", "reason"), UNREADABLE.values(), ids=UNREADABLE.keys())


@_unreadable
def test_a_checkpoint_that_cannot_be_read_is_named(stored: bytes, reason: str) -> None:
    with pytest.raises(CorruptDataError, match=f"checkpoint 'ckpt_1' at b'k:c:1' cannot be read: .*{reason}"):
        _decode_checkpoint(stored)


@_unreadable
def test_a_metadata_value_that_cannot_be_read_is_named(stored: bytes, reason: str) -> None:
    with pytest.raises(CorruptDataError, match=f"metadata b'bad' at b'k:s:1' cannot be read: .*{reason}"):
        _decode_metadata({b"user": b"ann", b"m:good": b"j1", b"m:bad": stored})


@pytest.mark.parametrize("value", [b"null", b"[]", b'"text"', b"7"])
def test_a_checkpoint_that_is_no_object_is_refused(value: bytes) -> None:
    with pytest.raises(CorruptDataError, match="it is no JSON object"):
        _decode_checkpoint(b"j" + value)


def test_a_metadata_key_that_is_no_text_is_named() -> None:
    with pytest.raises(CorruptDataError, match=r"metadata b'\\xff' at b'k:s:1'"):
        _decode_metadata({b"m:\xff": b"j1"})


# What is stored outlives the version that stored it.
def test_what_is_stored_never_changes() -> None:
    assert encode_metadata({"a": 1, "é": {"b": [None, "é"]}}) == [
        b"m:a",
        b"j1",
        b"m:\xc3\xa9",
        b'j{"b":[null,"\xc3\xa9"]}',
    ]
    assert packed(checkpoint_json({"a": 1}, 100), 100) == b'j{"a":1}'
    compressed = packed(checkpoint_json({"a": 1}, 100), 0)
    assert compressed[:1] == b"z"
    assert zlib.decompress(compressed[1:]) == b'{"a":1}'


def test_recipes_and_chunks_never_change() -> None:
    history = [{"said": letter * 600} for letter in "abc"]
    data = {"turn": 3, "state": {"history": history}}
    recipe = cut(data, checkpoint_json(data, 10_000), (), Stream("0123456789", itertools.count(7)))
    assert recipe is not None
    stored, chunks = encrypt_recipe("ckpt_1", recipe, IN_THE_CLEAR, 10_000)
    assert stored == b'p0123456789:7-8\nj{"turn":3,"state":{"history":[\xff]}}'
    assert chunks[::2] == [b"0123456789:7", b"0123456789:8"]
    assert zlib.decompress(chunks[1][1:]) == b'{"said":"%s"}\xff{"said":"%s"}' % (b"a" * 600, b"b" * 600)
    assert zlib.decompress(chunks[3][1:]) == b'{"said":"%s"}' % (b"c" * 600)
    assert chunks[1][:1] == chunks[3][:1] == b"z"


def test_a_recipe_is_read_in_any_format() -> None:
    stored = b"p0123456789:1-2,abcdefabcd:9;abcdefabcd:9\nz" + zlib.compress(b'{"a":[\xff],"b":{"c":\xff}}')
    chunks = {
        "0123456789:1": b"j1\xff2",
        "0123456789:2": b"z" + zlib.compress(b'"x"'),
        "abcdefabcd:9": b'j{"\xc3\xa9":null}',
    }
    found = decode_checkpoint("sess_1", StoredCheckpoint("ckpt_1", b"k:c:1", 0, stored, chunks), NO_KEYS)
    assert found == {"a": [1, 2, "x", {"é": None}], "b": {"c": {"é": None}}}


def test_metadata_is_read_in_any_format() -> None:
    fields = {b"m:plain": b"j1", b"m:compressed": b"z" + zlib.compress(b'"x"'), b"size": b"9"}
    assert _decode_metadata(fields) == {"plain": 1, "compressed": "x"}


def test_what_any_zlib_has_compressed_is_read() -> None:
    text = checkpoint_json({"said": "word " * 500}, 10_000)
    for level in (1, 6, 9):
        assert _decode_checkpoint(b"z" + zlib.compress(text, level)) == {"said": "word " * 500}
    assert zlib.decompress(packed(text, 100)[1:]) == text


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes to which anything may expand, instead of many megabytes."""
    for module in ("codec", "chunks.recipe"):
        monkeypatch.setattr(f"agent_runtime.manager.{module}.LARGEST_CHECKPOINT", 1_000)
    return 1_000


def _text_of(size: int) -> bytes:
    return b'{"a":"%s"}' % (b"a" * (size - 8))


def test_what_would_expand_beyond_any_checkpoint_is_refused(room: int) -> None:
    assert _decode_checkpoint(b"z" + zlib.compress(_text_of(room)))["a"]
    for size in (room + 1, 100_000_000):
        with pytest.raises(CorruptDataError, match=r"'ckpt_1' at b'k:c:1' .* more than 1000 bytes"):
            _decode_checkpoint(b"z" + zlib.compress(_text_of(size)))
        with pytest.raises(CorruptDataError, match=r"metadata b'bad' at b'k:s:1' .* more than 1000 bytes"):
            _decode_metadata({b"m:bad": b"z" + zlib.compress(_text_of(size))})


def _decode_recipe(head: bytes, literal: bytes, chunks: dict[str, bytes | None]) -> Any:
    stored = b"p" + head + b"\n" + literal
    return decode_checkpoint("sess_1", StoredCheckpoint("ckpt_1", b"k:c:1", 0, stored, chunks), NO_KEYS)


def test_chunks_that_expand_beyond_any_checkpoint_are_refused(room: int) -> None:
    chunk = b'"%s"' % (b"a" * 398)
    packed_chunk, named = b"z" + zlib.compress(chunk), "0123456789:%d"
    two: dict[str, bytes | None] = {named % number: packed_chunk for number in (1, 2)}
    assert len(_decode_recipe(b"0123456789:1-2", b'j{"a":[\xff]}', two)["a"]) == 2
    bombs: list[tuple[bytes, dict[str, bytes | None]]] = [
        (b"0123456789:1-3", two | {named % 3: packed_chunk}),
        (b"0123456789:1-3", two | {named % 3: b"j" + chunk}),
        (b"0123456789:1,0123456789:1,0123456789:1", {named % 1: packed_chunk}),
    ]
    for head, chunks in bombs:
        with pytest.raises(CorruptDataError, match=r"'ckpt_1' at b'k:c:1' .* more than 1000 bytes"):
            _decode_recipe(head, b'j{"a":[\xff]}', chunks)
    with pytest.raises(CorruptDataError, match="more than 1000 bytes"):
        _decode_recipe(b"0123456789:1", b"z" + zlib.compress(_text_of(room + 1)), two)


def test_chunks_do_not_expand_before_their_sum_is_known(room: int) -> None:
    packed_chunk = b"z" + zlib.compress(b"x" * 600)
    chunks: dict[str, bytes | None] = {f"0123456789:{number}": packed_chunk for number in (1, 2, 3)}
    opened: dict[str, bytes] = {}
    stored = StoredCheckpoint("ckpt_1", b"k:c:1", 0, b"p0123456789:1-3\nj[\xff]", chunks, opened)
    with pytest.raises(CorruptDataError, match="more than 1000 bytes"):
        decode_checkpoint("sess_1", stored, NO_KEYS)
    assert sum(map(len, opened.values())) <= room


def test_no_checkpoint_can_be_saved_that_is_too_large_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_SESSIONS_MAX_CHECKPOINT_BYTES", str(LARGEST_CHECKPOINT + 1))
    load_settings.cache_clear()
    with pytest.raises(SettingsError, match="AGENT_SESSIONS_MAX_CHECKPOINT_BYTES"):
        load_settings()
    load_settings.cache_clear()
