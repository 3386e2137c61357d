"""The check that a connection still leads to the primary.

Behind one address (a managed service, a proxy, a DNS name), a fail-over leaves the connections to the old
primary open. That server is a replica from then on: it refuses every write, and answers reads with outdated
data.
"""

import re
from typing import Any

import redis

#: Longest time for which calls are sent without a check of the server's role, seconds.
ROLE_CHECK_SECONDS = 1.0

#: Refusals of a server that is not the primary, or not now. A demoted primary keeps its connections, and
#: refuses every write on them. In an error of a script, Redis 6.2 puts words of its own before them.
_NOT_PRIMARY = re.compile(
    r"(?:^|[- ])(?:READONLY You|MASTERDOWN Link|NOREPLICAS Not|CLUSTERDOWN |UNBLOCKED )"
)

#: Errors of the server for which redis-py has a class, by their first word.
_ERRORS: dict[str, type[redis.RedisError]] = {
    "NOSCRIPT": redis.exceptions.NoScriptError,
    "LOADING": redis.BusyLoadingError,
    "NOAUTH": redis.AuthenticationError,
    "WRONGPASS": redis.AuthenticationError,
}


class NotPrimaryError(redis.ConnectionError):
    """The server is not the primary, or not now. It did not apply the call that it refused."""


class ReplicaError(NotPrimaryError):
    """The server is a replica. It applies nothing that clients send."""


def server_error(text: str) -> redis.RedisError:
    """Return the error reply of a server as an error of redis-py, or as `NotPrimaryError`."""
    if _NOT_PRIMARY.search(text) and not text.startswith("CORRUPT "):  # a key may hold any words
        return ReplicaError(text) if "READONLY You" in text else NotPrimaryError(text)
    return _ERRORS.get(text.partition(" ")[0], redis.ResponseError)(text)


def check_role(hello: Any) -> None:
    """Raise `ReplicaError` if the reply to HELLO is that of a replica.

    A demoted primary answers reads on its connections with the data it had. The reply to HELLO contains the
    role, and the command needs no right of its own.
    """
    flat = hello if isinstance(hello, list) else ()  # an error, if the user may not even ask
    fields = hello if isinstance(hello, dict) else dict(zip(flat[::2], flat[1::2], strict=False))
    if fields.get(b"role") == b"replica":
        raise ReplicaError("it is a replica now")


def as_not_primary(reply: Any) -> NotPrimaryError | None:
    """Return redis-py's error reply as `NotPrimaryError` if it is one. redis-py cuts off some first words."""
    if isinstance(reply, redis.exceptions.ReadOnlyError):
        return ReplicaError(f"READONLY {reply}")
    if isinstance(reply, redis.exceptions.MasterDownError | redis.exceptions.ClusterDownError):
        return NotPrimaryError(str(reply))
    found = server_error(str(reply)) if isinstance(reply, redis.ResponseError) else None
    return found if isinstance(found, NotPrimaryError) else None
