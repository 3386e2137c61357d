"""Errors of the server and of redis-py, made ours. This happens here and nowhere else."""

from typing import Any

import redis

from manager.errors import StoreError, StoreOutcomeUnknownError, StoreRefusedError, StoreUnavailableError
from manager.refusals import TLS_ADVICE, advice_on_rights, is_refused_tls
from manager.script_source import Script

#: What a connection that cannot be made, or breaks, raises.
CONNECTION_ERRORS = (redis.ConnectionError, redis.TimeoutError, OSError)

#: For redis-py these are connection errors too, but the server is there, and says no.
REFUSED_CREDENTIALS = (redis.AuthenticationError, redis.exceptions.AuthorizationError)


class NotConnectedError(redis.ConnectionError):
    """No connection could be made, so nothing was sent."""


def translated(reply: Any, script: Script | None = None) -> Any:
    """`reply`, with an error of redis-py made one of ours."""
    if not isinstance(reply, Exception) or isinstance(reply, StoreError):
        return reply
    error: StoreError
    if isinstance(reply, REFUSED_CREDENTIALS):
        error = StoreRefusedError(f"the server refused the credentials: {reply}")
    elif isinstance(reply, NotConnectedError | redis.BusyLoadingError):
        advice = f" {TLS_ADVICE}" if is_refused_tls(reply) else ""
        error = StoreUnavailableError(f"no connection to the server: {reply}{advice}")
    elif isinstance(reply, redis.ResponseError):
        advice = advice_on_rights(reply, script) if script else ""
        error = StoreRefusedError(f"the server refused the call: {reply}{advice}")
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
