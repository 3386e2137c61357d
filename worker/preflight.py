"""Check that a server is fit to hold sessions and jobs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agent_runtime.manager import SessionManager, Settings, StoreRefusedError, StoreUnavailableError
from agent_runtime.manager.errors import tls_advice
from agent_runtime.tasks.celery_urls import without_password

#: The oldest version of Redis that has all commands of the scripts.
MINIMUM_VERSION = (6, 2)


def check_server(settings: Settings) -> None:
    """Check that the server answers, is new enough, and does not evict keys.

    Raises:
        StoreUnavailableError: the server does not answer.
        StoreRefusedError: the server refuses the credentials or the certificate, is too old, or may evict
            sessions and jobs when its memory is full.

    Example:
        >>> check_server(load_settings())
    """
    with _client(settings.redis_url, settings) as client:
        info: dict[str, Any] = {**client.info("server"), **client.info("memory")}
    address = without_password(settings.redis_url)
    version = tuple(int(part) for part in info["redis_version"].split(".")[:2])
    if version < MINIMUM_VERSION:
        raise StoreRefusedError(
            f"the server at {address} speaks Redis {info['redis_version']};"
            f" {'.'.join(map(str, MINIMUM_VERSION))} or newer is needed"
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and int(info.get("maxmemory", 0)) > 0:
        raise StoreRefusedError(
            f"the server at {address} has maxmemory-policy {policy}, so it would evict sessions and jobs when"
            " its memory is full; set it to noeviction"
        )


def check_layout(settings: Settings) -> None:
    """Check that this process and the store agree on partitions and keys.

    Raises:
        LayoutError: the store was begun with other settings.
        StoreError: the server does not answer or refuses.
    """

    async def call_once() -> None:
        async with SessionManager.from_settings(settings) as manager:
            await manager.session_exists("sess_000")  # any call agrees on the layout first

    asyncio.run(call_once())


def check_broker(url: str, settings: Settings, tls: dict[str, Any] | None = None) -> None:
    """Check that Celery's broker or result store accepts the credentials and has the database of the URL.

    A server that does not answer is accepted: Celery waits for it.

    Args:
        url: of the broker or the result store; skipped unless it is a Redis.
        settings: for the time-outs.
        tls: Celery's TLS options for this server.

    Raises:
        StoreRefusedError: the server refuses the credentials or the certificate, or has no such database.
    """
    if url.startswith(("redis://", "rediss://")):
        with suppress(StoreUnavailableError), _client(url, settings, **tls or {}) as client:
            client.ping()


@contextmanager
def _client(url: str, settings: Settings, **tls: Any) -> Iterator[redis.Redis]:
    """Open a client for the block, and translate its errors into errors that name the server."""
    address = without_password(url)
    try:
        with redis.Redis.from_url(
            url,
            socket_timeout=settings.call_timeout_seconds,
            socket_connect_timeout=settings.connect_timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            **tls,
        ) as client:
            yield client
    except redis.AuthenticationError as error:
        raise StoreRefusedError(f"the server at {address} refused the credentials: {error}") from error
    except redis.exceptions.NoPermissionError as error:
        raise StoreRefusedError(
            f"the server at {address} refused: {error}; docs/security.md lists the rights that it needs"
        ) from error
    except redis.ResponseError as error:
        raise StoreRefusedError(f"the server at {address} refused: {error}") from error
    except redis.RedisError as error:
        if (tls or url.startswith("rediss://")) and (advice := tls_advice(error)):
            raise StoreRefusedError(f"no connection to the server at {address}: {error}{advice}") from error
        raise StoreUnavailableError(
            f"the server at {address} does not answer (AGENT_SESSIONS_REDIS_URL): {error}"
        ) from error
