"""Errors of the server and of redis-py, made ours. This happens here and nowhere else."""

import re
from collections.abc import Sequence
from typing import Any

import redis

from agent_runtime.manager.errors import (
    AgentSessionsError,
    CorruptDataError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreRefusedError,
    StoreUnavailableError,
    tls_advice,
)
from agent_runtime.manager.transport.call import Call
from agent_runtime.manager.transport.script import Script

#: How servers say, from within a script, that their user may not run a command or see a key: Valkey; Redis.
_LACKS_RIGHTS = re.compile("^NOPERM|ACL failure in script|user executing the script can't")
_COMMANDS = re.compile(r"redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?")

#: What a connection that cannot be made, or breaks, raises.
CONNECTION_ERRORS = (redis.ConnectionError, redis.TimeoutError, OSError)

#: For redis-py these are connection errors too, but the server is there, and says no.
REFUSED_CREDENTIALS = (redis.AuthenticationError, redis.exceptions.AuthorizationError)


#: How a script says which key it cannot read, and what the server says of a key it can do nothing with.
_CORRUPT, _DAMAGE = "CORRUPT ", ("WRONGTYPE", "hash value is not an integer")


class NotConnectedError(redis.ConnectionError):
    """No connection could be made, so nothing was sent."""


def translated(reply: Any, call: Call | None = None) -> Any:
    """`reply` to a call, with an error of redis-py made one of ours."""
    if not isinstance(reply, Exception) or isinstance(reply, StoreError):
        return reply
    error: AgentSessionsError
    if damage := damage_told_by(str(reply), call.keys if call else ()):
        error = CorruptDataError(damage)
    elif call is not None and call.uncertain:  # whatever is said of a repetition, the first may be applied
        error = StoreOutcomeUnknownError(f"the answer was lost, and when it was sent again: {reply}")
    elif isinstance(reply, REFUSED_CREDENTIALS):
        error = StoreRefusedError(f"the server refused the credentials: {reply}")
    elif isinstance(reply, NotConnectedError | redis.BusyLoadingError):
        error = StoreUnavailableError(f"no connection to the server: {reply}{tls_advice(reply)}")
    elif isinstance(reply, redis.ResponseError):
        advice = advice_on_rights(reply, call.script) if call else ""
        error = StoreRefusedError(f"the server refused the call: {reply}{advice}")
    else:
        reason = str(reply) or repr(reply)
        error = StoreOutcomeUnknownError(f"the connection broke before the answer came: {reason}")
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


def advice_on_rights(reply: Exception, script: Script) -> str:
    """What to say behind a refusal: '' where it is not about rights. Redis does not say which command of a
    script it was, so all are named.
    """
    if not (isinstance(reply, redis.exceptions.NoPermissionError) or _LACKS_RIGHTS.search(str(reply))):
        return ""
    commands = sorted({" ".join(found).strip() for found in _COMMANDS.findall(script.source)})
    return (
        f". This user of the server lacks a right that {script.name}.lua needs, which runs"
        f" {', '.join(commands)}; docs/security.md lists the rights"
    )
