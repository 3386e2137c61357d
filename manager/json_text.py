"""Values as JSON, in one way everywhere."""

import json
from typing import Any

_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def as_json(value: Any) -> bytes:
    """JSON in UTF-8. Raises `ValueError` or `RecursionError` where there is none.

    A lone surrogate (half an emoji, as token streams produce) has no UTF-8, and two halves side by side,
    escaped as JSON would have it, come back as one character. Python passes them through both ways.
    """
    return _ENCODE(value).encode("utf-8", "surrogatepass")
