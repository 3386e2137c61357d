"""The async twin of a caller's client, as a channel that runs batches of commands on the server.

Inside the manager everything is async. A synchronous `redis.Redis` gets an async twin for each event loop:
the same server, TLS, credentials and database, as many connections, replies as bytes. An async client gets
one too, since a connection belongs to the loop that opened it. A synchronous client of a kind without a twin
(fakeredis, Sentinel) is called in threads.
"""

import asyncio
import inspect
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import redis
import redis.asyncio as aredis
from hiredis import pack_command

from agent_runtime.manager.after_fork import leave_stream_to_parent
from agent_runtime.manager.errors import InvalidArgumentError, SettingsError
from agent_runtime.manager.transport.primary import (
    ROLE_CHECK_SECONDS,
    check_role,
)

Command = tuple[Any, ...]

#: Async connection class by synchronous one.
_ASYNC_CLASSES: dict[type, type] = {
    redis.Connection: aredis.Connection,
    redis.SSLConnection: aredis.SSLConnection,
    redis.UnixDomainSocketConnection: aredis.UnixDomainSocketConnection,
}

#: Arguments that the twin sets for itself. No socket timeout: redis-py 8.1 puts each send into `wait_for`,
#: which swallows cancellations on Python 3.11; calls are bounded by the engines instead. No retry: the
#: engines retry. RESP2, because every reply is made of strings, integers and lists.
_OWN_ARGUMENTS: dict[str, Any] = {
    "decode_responses": False,
    "protocol": 2,
    "retry": None,
    "retry_on_error": [],
    "retry_on_timeout": False,
    "socket_timeout": None,
}

#: Arguments that belong to the original's own connections and must not reach the twin's, by their beginning.
_NOT_COPIED = ("event_dispatcher", "maint_notifications_", "orig_", "himport_registry", "oss_cluster_")

#: Arguments that only a synchronous connection supports.
_SYNCHRONOUS_ONLY = ("redis_connect_func", "ssl_validate_ocsp", "ssl_validate_ocsp_stapled")

#: Longest time to wait for a connection if the original client sets none, seconds.
_CONNECT_TIMEOUT_SECONDS = 2.0


class Channel(Protocol):
    """Runs batches of commands in order, and returns a reply or an error for each command."""

    #: Most batches that may run at once.
    width: int

    async def connect(self) -> Any: ...
    async def run(self, connection: Any, commands: Sequence[Command]) -> list[Any]: ...
    async def release(self, connection: Any, *, broken: bool = False) -> None: ...
    async def aclose(self) -> None: ...


class PoolChannel:
    """Runs batches on connections of an async pool."""

    def __init__(self, pool: aredis.ConnectionPool) -> None:
        self._pool = pool
        self.width = pool.max_connections
        #: True if the connections are redis-py's own, so that an engine can take over their bytes.
        self.is_plain = pool.connection_class in _ASYNC_CLASSES.values()
        #: When each connection is next asked for the server's role, by the monotonic clock.
        self._check_role_at: WeakKeyDictionary[aredis.Connection, float] = WeakKeyDictionary()

    def new_connection(self) -> aredis.Connection:
        """Return a connection like those of the pool, outside the pool and not connected yet."""
        return self._pool.make_connection()  # type: ignore[no-any-return, no-untyped-call]

    async def connect(self) -> aredis.Connection:
        connection: aredis.Connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        if connection._writer is not None:
            leave_stream_to_parent(connection._writer)
        return connection

    async def run(self, connection: aredis.Connection, commands: Sequence[Command]) -> list[Any]:
        """Return the replies. Once in a while, ask for the server's role first.

        Raises:
            ReplicaError: the server is a replica, and the commands were not sent.
        """
        now = time.monotonic()
        if now >= self._check_role_at.get(connection, 0.0):
            self._check_role_at[connection] = now + ROLE_CHECK_SECONDS
            check_role((await self._exchange(connection, [("HELLO",)]))[0])
        return await self._exchange(connection, commands)

    async def _exchange(self, connection: aredis.Connection, commands: Sequence[Command]) -> list[Any]:
        # hiredis packs in C; redis-py's async connections pack in Python, a quarter of a gathered create's
        # time.
        await connection.send_packed_command([b"".join(map(pack_command, commands))])
        replies = []
        for _ in commands:
            try:
                replies.append(await connection.read_response())
            except redis.ResponseError as error:
                replies.append(error)
        return replies

    async def release(self, connection: aredis.Connection, *, broken: bool = False) -> None:
        if broken:
            await connection.disconnect()
        await self._pool.release(connection)

    async def aclose(self) -> None:
        await self._pool.aclose()


class ThreadChannel:
    """Runs batches on a synchronous client, each in a thread, so that the event loop is never blocked."""

    width = 8

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    async def connect(self) -> None:
        return None

    async def run(self, connection: None, commands: Sequence[Command]) -> list[Any]:
        return await asyncio.to_thread(self._run, commands)

    def _run(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
        return pipeline.execute(raise_on_error=False)

    async def release(self, connection: None, *, broken: bool = False) -> None:
        if broken:  # the client's own pool connects again
            await asyncio.to_thread(self._client.connection_pool.disconnect)

    async def aclose(self) -> None:
        """Close nothing: the client is the caller's."""


def client_from_url(variable: str, url: str, connect_timeout_seconds: float) -> redis.Redis:
    """Return a client for the server at a URL.

    Raises:
        SettingsError: the URL is not valid; the message names the variable.
    """
    with suppress(ValueError):  # redis-py's message may show a part of a password, so ours does not chain it
        return redis.Redis.from_url(url, socket_connect_timeout=connect_timeout_seconds)
    raise SettingsError(f"{variable} must be like redis://host:6379/0, rediss:// with TLS, or unix://")


def open_channel(conn: redis.Redis | aredis.Redis) -> Channel:
    """Return a channel to the server of `conn`, for the running event loop.

    Raises:
        InvalidArgumentError: `conn` is not a Redis client, or is of a kind that is not supported.
    """
    pool = getattr(conn, "connection_pool", None)
    if pool is None or not isinstance(conn, redis.Redis | aredis.Redis):
        raise InvalidArgumentError(
            f"conn must be a redis.Redis or redis.asyncio.Redis, not {type(conn).__name__}"
            " (Redis Cluster clients are not supported)"
        )
    if isinstance(conn, aredis.Redis):
        if type(pool) not in (aredis.ConnectionPool, aredis.BlockingConnectionPool):
            raise InvalidArgumentError(
                f"conn with a {type(pool).__name__} is not supported; pass the synchronous client instead"
            )
        return PoolChannel(_twin_pool(pool, pool.connection_class))
    twin_class = _ASYNC_CLASSES.get(pool.connection_class)
    # An async connection cannot call a synchronous hook, and does not support OCSP.
    if twin_class is not None and not any(map(pool.connection_kwargs.get, _SYNCHRONOUS_ONLY)):
        return PoolChannel(_twin_pool(pool, twin_class))
    return ThreadChannel(_bytes_client(conn))


def _twin_pool(pool: Any, connection_class: type) -> aredis.ConnectionPool:
    """Return an async pool with the settings of a caller's pool."""
    known = _known_arguments(connection_class)
    arguments = {
        name: value
        for name, value in pool.connection_kwargs.items()
        if not name.startswith(_NOT_COPIED) and (known is None or name in known)
    }
    arguments.update(_OWN_ARGUMENTS)
    if arguments.get("socket_connect_timeout") is None:
        arguments["socket_connect_timeout"] = _CONNECT_TIMEOUT_SECONDS
    return aredis.ConnectionPool(
        connection_class=connection_class, max_connections=pool.max_connections, **arguments
    )


def _known_arguments(connection_class: type) -> set[str] | None:
    """Return the names of a connection class's arguments; None if the class is not redis-py's own."""
    if connection_class not in _ASYNC_CLASSES.values():
        return None
    return {
        name
        for cls in connection_class.__mro__
        if "__init__" in vars(cls)
        for name in inspect.signature(cls).parameters
    }


def _bytes_client(conn: redis.Redis) -> redis.Redis:
    """Return `conn`, or a twin that keeps replies as bytes if `conn` decodes them."""
    pool: Any = conn.connection_pool
    if not pool.connection_kwargs.get("decode_responses"):
        return conn
    if type(pool) not in (redis.ConnectionPool, redis.BlockingConnectionPool):
        raise InvalidArgumentError(f"conn with a {type(pool).__name__} must have decode_responses=False")
    return redis.Redis(
        connection_pool=redis.ConnectionPool(
            connection_class=pool.connection_class,
            max_connections=pool.max_connections,
            **{**pool.connection_kwargs, "decode_responses": False},
        )
    )
