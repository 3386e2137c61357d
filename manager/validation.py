"""Checks of arguments, before anything is sent.

Each check returns the value or raises `InvalidArgumentError`.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_runtime.manager.errors import InvalidArgumentError

#: Longest time to live and age, seconds: some 3,000 years. A later time would leave the calendar, and a much
#: later one the integers of Redis.
LONGEST_SECONDS = 100_000_000_000

#: Largest count: the largest integer of Redis, and `sys.maxsize`, which callers pass for "no limit".
LARGEST_COUNT = 2**63 - 1

#: Upper bound of `max_checkpoint_bytes`. No stored value is inflated to more, bytes.
LARGEST_CHECKPOINT = 268_435_456

#: Most characters of a wrong value that a message shows.
_MOST_SHOWN = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def shown(value: object) -> str:
    """Return a wrong value of any kind as text for a message."""
    try:
        text = repr(value)
    except Exception:  # for example, Python refuses to write numbers of more than 4,300 digits
        return f"this {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def check_id(name: str, value: object, max_bytes: int) -> str:
    """Check an id: any text of 1 to `max_bytes` bytes of UTF-8."""
    return check_text(name, value, max_bytes, "max_id_bytes")


def check_text(name: str, value: object, max_bytes: int, setting: str = "") -> str:
    """Check a text of 1 to `max_bytes` bytes of UTF-8. The error names the setting."""
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{name} must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidArgumentError(f"{name} must not be empty")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{name} must be valid Unicode: {error.reason}") from error
    if size > max_bytes:
        limit = f"{max_bytes} ({setting})" if setting else max_bytes
        raise InvalidArgumentError(f"{name} is {size} bytes long; the limit is {limit}")
    return value


def check_positive(name: str, value: object) -> float:
    """Check a time in seconds: a number above zero and up to `LONGEST_SECONDS`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= LONGEST_SECONDS:  # type: ignore[operator]
        raise InvalidArgumentError(
            f"{name} must be a positive number of at most {LONGEST_SECONDS} seconds, not {shown(value)}"
        )
    return value  # type: ignore[return-value]


def check_count(name: str, value: object, minimum: int) -> int:
    """Check a whole number of at least `minimum` that Redis can hold."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise InvalidArgumentError(f"{name} must be a whole number of at least {minimum}, not {shown(value)}")
    if value > LARGEST_COUNT:
        raise InvalidArgumentError(f"{name} must be at most {LARGEST_COUNT}, not {shown(value)}")
    return value


def check_flag(name: str, value: object) -> bool:
    """Check a flag: True or False."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{name} must be True or False, not {shown(value)}")
    return value


def check_many(name: str, value: object) -> list[Any]:
    """Return the entries of a list or another iterable.

    A text, bytes or a mapping is not a list of entries.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidArgumentError(f"{name} must be a list, not {type(value).__name__}")
    return list(value)


def check_age_seconds(name: str, value: object) -> float:
    """Return an age in seconds, passed as a number of seconds or a timedelta."""
    return float(check_positive(name, value.total_seconds() if isinstance(value, timedelta) else value))


def check_moment_ms(name: str, value: object) -> int:
    """Return a moment as milliseconds since 1970, passed as a datetime with a time zone."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidArgumentError(f"{name} must be a datetime with a time zone, not {shown(value)}")
    moment_ms = (value - _EPOCH) // timedelta(milliseconds=1)
    if moment_ms > _LAST_MS:
        raise InvalidArgumentError(f"{name} must be before the year 10000 in UTC, not {value}")
    return moment_ms
