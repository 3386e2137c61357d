"""Checks of arguments, made before anything is sent. Each raises `InvalidArgumentError`."""

import math
from datetime import datetime, timedelta

from manager.errors import InvalidArgumentError


def check_id(name: str, value: object, max_bytes: int) -> str:
    """`value`, if it can serve as an id: any text from 1 to `max_bytes` bytes of UTF-8."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidArgumentError(f"{name} must not be empty")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{name} must be valid Unicode: {error.reason}") from error
    if size > max_bytes:
        raise InvalidArgumentError(f"{name} is {size} bytes long; the limit is {max_bytes} (max_id_bytes)")
    return value


def check_positive(name: str, value: object) -> float:
    """`value`, if it is a finite number above zero."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or value <= 0
    ):
        raise InvalidArgumentError(f"{name} must be a positive number, not {value!r}")
    return value


def check_count(name: str, value: object, minimum: int) -> int:
    """`value`, if it is a whole number of at least `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise InvalidArgumentError(f"{name} must be a whole number of at least {minimum}, not {value!r}")
    return value


def check_age_seconds(name: str, value: object) -> float:
    """An age in seconds, given as a number of seconds or a timedelta."""
    return check_positive(name, value.total_seconds() if isinstance(value, timedelta) else value)


def check_moment_ms(name: str, value: object) -> int:
    """A moment as milliseconds since 1970, given as a datetime with a time zone."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise InvalidArgumentError(f"{name} must be a datetime with a time zone, not {value!r}")
    return int(value.timestamp() * 1000)
