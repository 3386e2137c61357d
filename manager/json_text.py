"""The one way in which values become JSON, and JSON becomes values.

Most values are of plain types. pydantic-core encodes them, several times as fast as the standard library. The
standard library encodes other values, and values that pydantic-core refuses; it decides what is JSON. So both
ways give the same value; only a float may be spelt differently (``1e-7``, ``1e-07``).
"""

import json
from collections.abc import Iterable
from math import isfinite
from typing import Any, NoReturn

from pydantic_core import from_json, to_json

_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

#: Most levels of nesting that are plain. Below, the standard library decides.
_MOST_LEVELS = 100
#: Integers that both encoders write. Python refuses more than 4,300 digits; pydantic-core does not.
_SURE_INTEGERS = range(-(2**63), 2**64)


def is_plain(value: dict[str, Any] | list[Any], levels: int = _MOST_LEVELS) -> bool:
    """Return True if a value is made of the types of JSON only, and of no type derived from one.

    Return False too if a value is nested more deeply than `levels`, as a list within itself is, or if a
    number in it is not finite or too large for one of the encoders.
    """
    if type(value) is dict:
        for key in value:
            if type(key) is not str:
                return False
        items: Any = value.values()
    else:
        items = value
    for each in items:
        kind = type(each)
        if kind is str or each is None or kind is bool:
            continue
        if kind is dict or kind is list:
            if not levels or not is_plain(each, levels - 1):
                return False
        elif not ((kind is float and isfinite(each)) or (kind is int and each in _SURE_INTEGERS)):
            return False
    return True


def plain_json(value: Any) -> bytes | None:
    """Return the JSON of a plain object or list; None if the standard library has to decide."""
    if (type(value) is not dict and type(value) is not list) or not is_plain(value):
        return None
    try:
        return to_json(value)
    except ValueError:  # a lone surrogate
        return None


def as_json(value: Any) -> bytes:
    """Return a value as JSON in UTF-8. Raises `ValueError` or `RecursionError` if there is none.

    A lone surrogate (half an emoji, as token streams produce) has no UTF-8. Two halves side by side, escaped
    as JSON demands, would come back as one character. So surrogates are passed through as they are, both
    ways.
    """
    text = plain_json(value)
    return _ENCODE(value).encode("utf-8", "surrogatepass") if text is None else text


def quick_json(values: Iterable[Any]) -> list[bytes]:
    """Return the JSON of each of some parts of a value, for a comparison with the JSON of the whole.

    The parts are not checked to be plain. If they are not, the whole may spell them differently.
    """
    try:
        return [to_json(value) for value in values]
    except ValueError:  # for example, a lone surrogate
        return []


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODE = json.JSONDecoder(parse_constant=_refuse_constant).decode


def from_json_text(text: bytes) -> Any:
    """Return the value of a JSON text.

    Raises `ValueError` or `RecursionError` if the text is not from `as_json`.
    """
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        return _DECODE(text.decode("utf-8", "surrogatepass"))
