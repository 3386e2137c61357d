"""Checks of arguments, made before anything is sent. Each raises `InvalidArgumentError`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from agent_runtime.manager.errors import InvalidArgumentError

#: Longest time to live and age, seconds: some 3,000 years. What lies further off leaves the calendar, and
#: further still the integers of Redis.
LONGEST_SECONDS = 100_000_000_000

#: Largest count: that of Redis, and `sys.maxsize`, which callers take for "without limit".
LARGEST_COUNT = 2**63 - 1

#: Largest checkpoint that can be set, as JSON, bytes. Nothing that is read expands to more.
LARGEST_CHECKPOINT = 268_435_456

#: Most characters of a wrong value in a message.
_MOST_SHOWN = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


def shown(value: object) -> str:
    """A wrong value as text for a message, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # Python refuses to write numbers of more than 4,300 digits, for one
        return f"this {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def check_id(name: str, value: object, max_bytes: int) -> str:
    """`value`, if it can serve as an id: any text from 1 to `max_bytes` bytes of UTF-8."""
    return check_text(name, value, max_bytes, "max_id_bytes")


def check_text(name: str, value: object, max_bytes: int, setting: str = "") -> str:
    """`value`, if it is text from 1 to `max_bytes` bytes of UTF-8. The error names the setting."""
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
    """`value`, if it is a number above zero that can be a time in seconds."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value <= LONGEST_SECONDS:  # type: ignore[operator]
        raise InvalidArgumentError(
            f"{name} must be a positive number of at most {LONGEST_SECONDS} seconds, not {shown(value)}"
        )
    return value  # type: ignore[return-value]


def check_count(name: str, value: object, minimum: int) -> int:
    """`value`, if it is a whole number of at least `minimum` that Redis can hold."""
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise InvalidArgumentError(f"{name} must be a whole number of at least {minimum}, not {shown(value)}")
    if value > LARGEST_COUNT:
        raise InvalidArgumentError(f"{name} must be at most {LARGEST_COUNT}, not {shown(value)}")
    return value


def check_flag(name: str, value: object) -> bool:
    """`value`, if it is True or False."""
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{name} must be True or False, not {shown(value)}")
    return value


def check_many(name: str, value: object) -> list[Any]:
    """The entries of a list, or of anything else that can be gone through and is not one thing itself."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidArgumentError(f"{name} must be a list, not {type(value).__name__}")
    return list(value)


def check_age_seconds(name: str, value: object) -> float:
    """An age in seconds, given as a number of seconds or a timedelta."""
    return float(check_positive(name, value.total_seconds() if isinstance(value, timedelta) else value))


def check_moment_ms(name: str, value: object) -> int:
    """A moment as milliseconds since 1970, given as a datetime with a time zone."""
    if not isinstance(value, datetime) or value.utcoffset() is None:
        raise InvalidArgumentError(f"{name} must be a datetime with a time zone, not {shown(value)}")
    moment_ms = (value - _EPOCH) // timedelta(milliseconds=1)
    if moment_ms > _LAST_MS:
        raise InvalidArgumentError(f"{name} must be before the year 10000 in UTC, not {value}")
    return moment_ms
