"""Whether a server is fit to hold sessions and jobs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from manager import Settings, StoreRefusedError, StoreUnavailableError

#: What the scripts need.
MINIMUM_VERSION = (6, 2)


def check_server(settings: Settings) -> None:
    """Checks that the server answers, is new enough, and never evicts.

    Raises:
        StoreUnavailableError: it does not answer.
        StoreRefusedError: it is too old, or may throw away sessions and jobs when its memory is full.

    Example:
        >>> check_server(load_settings())
    """
    with _asking(settings.redis_url, settings) as client:
        info: dict[str, Any] = {**client.info("server"), **client.info("memory")}
    where = _without_password(settings.redis_url)
    version = tuple(int(part) for part in info["redis_version"].split(".")[:2])
    if version < MINIMUM_VERSION:
        raise StoreRefusedError(
            f"the server at {where} speaks Redis {info['redis_version']};"
            f" {'.'.join(map(str, MINIMUM_VERSION))} or newer is needed"
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and int(info.get("maxmemory", 0)) > 0:
        raise StoreRefusedError(
            f"the server at {where} has maxmemory-policy {policy}, so it would throw away sessions and jobs"
            " when its memory is full; set it to noeviction"
        )


def check_broker(url: str, settings: Settings) -> None:
    """Checks that a Redis that serves Celery takes the credentials and has the database of the URL.

    One that does not answer is no reason to stop: Celery waits for it.

    Raises:
        StoreRefusedError: it refuses the credentials or has no such database.
    """
    if url.startswith(("redis://", "rediss://")):
        with suppress(StoreUnavailableError), _asking(url, settings) as client:
            client.ping()


@contextmanager
def _asking(url: str, settings: Settings) -> Iterator[redis.Redis]:
    """A client that is asked within the block; what goes wrong becomes an error that names the server."""
    where = _without_password(url)
    try:
        with redis.Redis.from_url(
            url,
            socket_timeout=settings.call_timeout_seconds,
            socket_connect_timeout=settings.connect_timeout_seconds,
            retry=Retry(NoBackoff(), 0),
        ) as client:
            yield client
    except redis.AuthenticationError as error:
        raise StoreRefusedError(f"the server at {where} refused the credentials: {error}") from error
    except redis.ResponseError as error:
        raise StoreRefusedError(f"the server at {where} refused: {error}") from error
    except redis.RedisError as error:
        raise StoreUnavailableError(
            f"the server at {where} does not answer (AGENT_SESSIONS_REDIS_URL): {error}"
        ) from error


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
