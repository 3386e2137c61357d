"""Errors of the server and of redis-py, made ours. This happens here and nowhere else."""

from typing import Any

import redis

from manager.errors import StoreError, StoreOutcomeUnknownError, StoreRefusedError, StoreUnavailableError

#: What a connection that cannot be made, or breaks, raises.
CONNECTION_ERRORS = (redis.ConnectionError, redis.TimeoutError, OSError)

#: For redis-py these are connection errors too, but the server is there, and says no.
REFUSED_CREDENTIALS = (redis.AuthenticationError, redis.exceptions.AuthorizationError)


class NotConnectedError(redis.ConnectionError):
    """No connection could be made, so nothing was sent."""


def translated(reply: Any) -> Any:
    """`reply`, with an error of redis-py made one of ours."""
    if not isinstance(reply, Exception) or isinstance(reply, StoreError):
        return reply
    error: StoreError
    if isinstance(reply, REFUSED_CREDENTIALS):
        error = StoreRefusedError(f"the server refused the credentials: {reply}")
    elif isinstance(reply, NotConnectedError | redis.BusyLoadingError):
        error = StoreUnavailableError(f"no connection to the server: {reply}")
    elif isinstance(reply, redis.ResponseError):
        error = StoreRefusedError(f"the server refused the call: {reply}")
    else:
        error = StoreOutcomeUnknownError(f"the connection broke before the answer came: {reply!r}")
    error.__cause__ = reply
    return error


def no_answer(seconds: float, *, sent: bool) -> StoreError:
    """The error of a call that had no answer in its time."""
    error_class = StoreOutcomeUnknownError if sent else StoreUnavailableError
    return error_class(f"no answer within {seconds} s")


def not_sent(seconds: float) -> StoreError:
    """The error of a call that waited in vain behind others which had no answer."""
    return StoreUnavailableError(f"not sent: no answer from the server for {seconds} s")
