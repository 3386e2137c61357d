"""Values as JSON and back, in one way everywhere.

Most values are of the plain types, and those go through pydantic-core, which is several times as fast as
the standard library. What is not, or what it refuses, goes through the standard library, which decides. So a
value means the same on either way; only a float may be spelt otherwise (``1e-7``, ``1e-07``).
"""

import json
from collections.abc import Iterable
from math import isfinite
from typing import Any, NoReturn

from pydantic_core import from_json, to_json

_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

#: Deeper, the standard library decides.
_MOST_LEVELS = 100
#: Python writes no numbers of more than 4,300 digits, and pydantic-core does; these are never in question.
_SURE_INTEGERS = range(-(2**63), 2**64)


def is_plain(value: dict[str, Any] | list[Any], levels: int = _MOST_LEVELS) -> bool:
    """Whether all in it is of a type that JSON has, and of no type derived from one; False too where that is
    not quickly told. It looks down a certain number of levels, so a list within itself is not plain.
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
    """JSON of a plain object or list; None where the standard library has to decide."""
    if (type(value) is not dict and type(value) is not list) or not is_plain(value):
        return None
    try:
        return to_json(value)
    except ValueError:  # a lone surrogate
        return None


def as_json(value: Any) -> bytes:
    """JSON in UTF-8. Raises `ValueError` or `RecursionError` where there is none.

    A lone surrogate (half an emoji, as token streams produce) has no UTF-8, and two halves side by side,
    escaped as JSON would have it, come back as one character. Python passes them through both ways.
    """
    text = plain_json(value)
    return _ENCODE(value).encode("utf-8", "surrogatepass") if text is None else text


def quick_json(values: Iterable[Any]) -> list[bytes]:
    """JSON of each of some parts of what `as_json` took, for those who compare them with the whole.

    That they are plain is not looked at again. Where they were not, the whole may spell them otherwise.
    """
    try:
        return [to_json(value) for value in values]
    except ValueError:  # a lone surrogate, for one
        return []


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


_DECODE = json.JSONDecoder(parse_constant=_refuse_constant).decode


def from_json_text(text: bytes) -> Any:
    """The value. Raises `ValueError` or `RecursionError` where the text is not what `as_json` gives."""
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        return _DECODE(text.decode("utf-8", "surrogatepass"))
