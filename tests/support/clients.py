"""Clients of every kind that callers hand over, on one server."""

from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio as aredis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.redis_server import RedisServer

Maker = Callable[[RedisServer, str], Any]


def _plain(cls: type, **arguments: Any) -> Maker:
    return lambda server, name: cls(host="127.0.0.1", port=server.port, client_name=name, **arguments)


def _unix(cls: type) -> Maker:
    return lambda server, name: cls(unix_socket_path=server.socket_path, client_name=name)


def _from_url(cls: type, **arguments: Any) -> Maker:
    return lambda server, name: cls.from_url(server.url(), client_name=name, **arguments)


def _pooled(cls: type, pool_class: type, **arguments: Any) -> Maker:
    def make(server: RedisServer, name: str) -> Any:
        return cls(
            connection_pool=pool_class(host="127.0.0.1", port=server.port, client_name=name, **arguments)
        )

    return make


class OwnConnection(aredis.Connection):
    """A connection class of the caller's own: its bytes cannot be handled elsewhere, so its pool is used."""


def client_for(engine: str, url: str) -> Any:
    """A client whose calls share one connection (`multiplexed`) or use a pool of them (`pooled`)."""
    if engine == "multiplexed":
        return redis.Redis.from_url(url, socket_connect_timeout=30)
    return aredis.Redis.from_url(url, socket_connect_timeout=30, connection_class=OwnConnection)


#: Both ways in which calls of an event loop can travel.
ENGINES = ("multiplexed", "pooled")

#: How many connections the pooled kinds may have.
POOL = 50

#: A time-out that no setting of ours has, seconds.
CLIENTS_OWN = 17


def _plain_with_own_connection(server: RedisServer, name: str) -> Any:
    return aredis.Redis.from_url(server.url(), client_name=name, connection_class=OwnConnection)


KINDS: dict[str, Maker] = {
    "sync": _plain(redis.Redis),
    "sync, text replies": _plain(redis.Redis, decode_responses=True),
    "sync, RESP2": _plain(redis.Redis, protocol=2),
    "sync, RESP3": _plain(redis.Redis, protocol=3, decode_responses=True),
    "sync, from a URL": _from_url(redis.Redis, decode_responses=True),
    "sync, Unix socket": _unix(redis.Redis),
    "sync, own timeouts": _plain(
        redis.Redis, socket_timeout=CLIENTS_OWN, socket_connect_timeout=CLIENTS_OWN, socket_keepalive=True
    ),
    "sync, health checks": _plain(redis.Redis, health_check_interval=1, retry=Retry(NoBackoff(), 5)),
    "sync, one connection": _plain(redis.Redis, single_connection_client=True),
    "sync, pool": _pooled(redis.Redis, redis.ConnectionPool, max_connections=POOL),
    "sync, blocking pool": _pooled(
        redis.Redis, redis.BlockingConnectionPool, max_connections=POOL, timeout=CLIENTS_OWN
    ),
    "async": _plain(aredis.Redis),
    "async, text replies": _plain(aredis.Redis, decode_responses=True),
    "async, RESP2": _plain(aredis.Redis, protocol=2),
    "async, RESP3": _plain(aredis.Redis, protocol=3, decode_responses=True),
    "async, from a URL": _from_url(aredis.Redis, decode_responses=True),
    "async, Unix socket": _unix(aredis.Redis),
    "async, connection class of its own": _plain_with_own_connection,
    "async, pool": _pooled(aredis.Redis, aredis.ConnectionPool, max_connections=POOL),
    "async, blocking pool": _pooled(
        aredis.Redis, aredis.BlockingConnectionPool, max_connections=POOL, timeout=CLIENTS_OWN
    ),
}


def connections_of(client: redis.Redis, name: str) -> list[dict[str, str]]:
    """What the server knows of the connections with that client name."""
    return [each for each in client.client_list() if each["name"] == name]


async def close(conn: Any) -> None:
    if isinstance(conn, aredis.Redis):
        await conn.aclose()
    else:
        conn.close()
