"""JSON by the quick way and by the standard library: the same values, the same refusals."""

import json
import math
import sys
from typing import Any

import pytest
from hypothesis import strategies as st

from agent_runtime.manager.json_text import as_json, from_json_text, is_plain, plain_json
from tests.fuzz import corpus, made
from tests.fuzz.inputs import fuzz
from tests.fuzz.made import same

#: Texts on which parsers of JSON differ.
_TEXTS = [
    b'{"a":1,"a":2}',
    b"[1e400]",
    b"[-0]",
    b"[-0.0]",
    b"[1E+2]",
    b"[NaN]",
    b"[Infinity]",
    b'["\xed\xa0\x80"]',
    b'["\\ud800"]',
    b'["\\ud83d\\ude00"]',
    b'["a\tb"]',
    b" [1]\n",
    b"[1]x",
    b"[1]\x00",
    b"[01]",
    b"[1.]",
    b"[1,]",
    b"\xef\xbb\xbf[1]",
    b'["\xff"]',
    b"[" + b"9" * 30 + b"]",
    b"[" + b"9" * 4_301 + b"]",
    b"[" * 300 + b"]" * 300,
    b"[" * 150 + b"]" * 150,
    b"",
]

_documents = made.json_objects.map(lambda value: bytearray(as_json(value)))


@st.composite
def _nearly_json(draw: st.DrawFn) -> bytes:
    text = draw(_documents)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(text)))
        text[place : place + draw(st.integers(0, 2))] = draw(st.sampled_from(_TEXTS) | st.binary(max_size=3))
    return bytes(text)


def _refused(text: str) -> Any:
    raise ValueError(text)


def _read_by_the_standard_library(text: bytes) -> Any:
    return json.JSONDecoder(parse_constant=_refused).decode(text.decode("utf-8", "surrogatepass"))


def _outcome(read: Any, text: bytes) -> tuple[bool, Any]:
    try:
        return True, read(text)
    except (ValueError, RecursionError):
        return False, None


@fuzz(600, corpus=[{"text": text} for text in _TEXTS], text=_nearly_json())
def test_any_text_is_read_as_the_standard_library_reads_it(text: bytes) -> None:
    was_read, value = _outcome(from_json_text, text)
    expected_read, expected = _outcome(_read_by_the_standard_library, text)
    assert was_read == expected_read
    assert same(value, expected)


@fuzz(600, corpus=[{"value": value} for value in corpus.OBJECTS], value=made.json_objects)
def test_what_is_written_is_the_value_for_the_standard_library_too(value: dict[str, Any]) -> None:
    assert same(_read_by_the_standard_library(as_json(value)), value)


@fuzz(300, corpus=[{"bad": {"k": value}} for value in corpus.NOT_JSON], bad=made.spoilt_objects)
def test_what_json_cannot_hold_never_takes_the_quick_way(bad: dict[str, Any]) -> None:
    assert plain_json(bad) is None


@fuzz(500, value=made.floats)
def test_a_float_comes_back_to_the_last_bit(value: float) -> None:
    [found] = from_json_text(as_json([value]))
    assert type(found) is float
    assert (found, math.copysign(1, found)) == (value, math.copysign(1, value))


def test_what_holds_itself_is_not_followed_for_ever() -> None:
    endless: list[Any] = []
    endless += [endless, endless]
    assert not is_plain(endless)
    with pytest.raises(ValueError, match="Circular"):
        as_json({"a": endless})


def test_a_limit_on_digits_that_was_raised_is_kept_to() -> None:
    before, long = sys.get_int_max_str_digits(), 10**4_999
    with pytest.raises(ValueError, match="digits"):
        as_json([long])
    try:
        sys.set_int_max_str_digits(10_000)
        assert from_json_text(as_json([long])) == [long]
    finally:
        sys.set_int_max_str_digits(before)
