"""Errors of the server and of redis-py, made ours. This happens here and nowhere else."""

from collections.abc import Sequence
from typing import Any

import redis

from manager.errors import (
    AgentSessionsError,
    CorruptDataError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreRefusedError,
    StoreUnavailableError,
)

#: What a connection that cannot be made, or breaks, raises.
CONNECTION_ERRORS = (redis.ConnectionError, redis.TimeoutError, OSError)

#: For redis-py these are connection errors too, but the server is there, and says no.
REFUSED_CREDENTIALS = (redis.AuthenticationError, redis.exceptions.AuthorizationError)


#: How a script says which key it cannot read, and what the server says of a key it can do nothing with.
_CORRUPT, _DAMAGE = "CORRUPT ", ("WRONGTYPE", "hash value is not an integer")


class NotConnectedError(redis.ConnectionError):
    """No connection could be made, so nothing was sent."""


def translated(reply: Any, keys: Sequence[Any] = (), *, uncertain: bool = False) -> Any:
    """`reply` of a script called with these keys, with an error of redis-py made one of ours.

    Args:
        uncertain: whether an earlier sending of the same call may have been applied.
    """
    if not isinstance(reply, Exception) or isinstance(reply, StoreError):
        return reply
    error: AgentSessionsError
    if isinstance(reply, REFUSED_CREDENTIALS):
        error = StoreRefusedError(f"the server refused the credentials: {reply}")
    elif isinstance(reply, NotConnectedError | redis.BusyLoadingError) and not uncertain:
        error = StoreUnavailableError(f"no connection to the server: {reply}")
    elif damage := damage_told_by(str(reply), keys):
        error = CorruptDataError(damage)
    elif isinstance(reply, redis.ResponseError):
        error = StoreRefusedError(f"the server refused the call: {reply}")
    else:
        error = StoreOutcomeUnknownError(
            f"the connection broke before the answer came: {str(reply) or reply!r}"
        )
    error.__cause__ = reply
    return error


def no_answer(seconds: float, *, sent: bool) -> StoreError:
    """The error of a call that had no answer in its time."""
    error_class = StoreOutcomeUnknownError if sent else StoreUnavailableError
    return error_class(f"no answer within {seconds} s")


def not_sent(seconds: float) -> StoreError:
    """The error of a call that waited in vain behind others which had no answer."""
    return StoreUnavailableError(f"not sent: no answer from the server for {seconds} s")


def damage_told_by(message: str, keys: Sequence[Any] = ()) -> str:
    """What cannot be read, with its key; '' where the error says nothing of that."""
    if message.startswith(_CORRUPT):
        return f"what lies at {message.removeprefix(_CORRUPT).encode()!r} cannot be read"
    if any(sign in message for sign in _DAMAGE):
        names = " or ".join(repr(key) for key in keys)
        return f"what lies at {names} cannot be read: {message}"
    return ""
