"""Maps errors of the server and of redis-py to errors of ours. No other module does."""

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
from agent_runtime.manager.transport.primary import NotPrimaryError
from agent_runtime.manager.transport.script import Script

#: Errors of a script whose user may not run a command or access a key, on Valkey and on Redis.
_LACKS_RIGHTS = re.compile("^NOPERM|ACL failure in script|user executing the script can't")
_COMMANDS = re.compile(r"redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?")

#: Errors of a connection that cannot be made, or breaks.
CONNECTION_ERRORS = (redis.ConnectionError, redis.TimeoutError, OSError)

#: Errors that redis-py counts as connection errors too, although the server is there and refuses.
REFUSED_CREDENTIALS = (redis.AuthenticationError, redis.exceptions.AuthorizationError)

#: Beginning of a script's error that names a key it cannot read, and parts of the server's errors about a key
#: that holds a value of the wrong kind.
_CORRUPT, _DAMAGE = "CORRUPT ", ("WRONGTYPE", "hash value is not an integer")


class NotConnectedError(redis.ConnectionError):
    """No connection could be made, so nothing was sent."""


def translated(reply: Any, call: Call | None = None) -> Any:
    """Return a reply as it is, or the error of ours for an error of redis-py."""
    if not isinstance(reply, Exception) or isinstance(reply, StoreError):
        return reply
    error: AgentSessionsError
    if damage := damage_told_by(str(reply), call.keys if call else ()):
        error = CorruptDataError(damage)
    elif call is not None and call.uncertain:  # whatever became of this try, an earlier one may be applied
        error = StoreOutcomeUnknownError(f"the reply was lost, and the next try failed: {reply}")
    elif isinstance(reply, REFUSED_CREDENTIALS):
        error = StoreRefusedError(f"the server refused the credentials: {reply}")
    elif isinstance(reply, NotPrimaryError):
        error = StoreUnavailableError(f"the server does not serve writes: {reply}")
    elif isinstance(reply, NotConnectedError | redis.BusyLoadingError):
        error = StoreUnavailableError(f"no connection to the server: {reply}{tls_advice(reply)}")
    elif isinstance(reply, redis.ResponseError):
        advice = advice_on_rights(reply, call.script) if call else ""
        error = StoreRefusedError(f"the server refused the call: {reply}{advice}")
    else:
        reason = str(reply) or repr(reply)
        error = StoreOutcomeUnknownError(f"the connection broke before the reply came: {reason}")
    error.__cause__ = reply
    return error


def no_answer(seconds: float, *, sent: bool) -> StoreError:
    """Return the error of a call that had no reply in its time."""
    error_class = StoreOutcomeUnknownError if sent else StoreUnavailableError
    return error_class(f"no reply within {seconds} s")


def not_sent(seconds: float) -> StoreError:
    """Return the error of a call that waited, unsent, behind calls that had no reply."""
    return StoreUnavailableError(f"not sent: no reply from the server for {seconds} s")


def damage_told_by(message: str, keys: Sequence[Any] = ()) -> str:
    """Return the error text for a value that cannot be read, with its key; '' if the message is about nothing
    of the kind.
    """
    if message.startswith(_CORRUPT):
        return f"the value at {message.removeprefix(_CORRUPT).encode()!r} cannot be read"
    if any(sign in message for sign in _DAMAGE):
        names = " or ".join(repr(key) for key in keys)
        return f"the value at {names} cannot be read: {message}"
    return ""


def advice_on_rights(reply: Exception, script: Script) -> str:
    """Return advice to append to a refusal; '' if the refusal is not about rights.

    Redis does not say which command of a script was refused, so the advice names all of them.
    """
    if not (isinstance(reply, redis.exceptions.NoPermissionError) or _LACKS_RIGHTS.search(str(reply))):
        return ""
    commands = sorted({" ".join(found).strip() for found in _COMMANDS.findall(script.source)})
    return (
        f". This user of the server lacks a right that {script.name}.lua needs, which runs"
        f" {', '.join(commands)}; docs/security.md lists the rights"
    )
