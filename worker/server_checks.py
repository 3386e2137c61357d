"""Whether a server is fit to hold sessions and jobs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from manager import StoreRefusedError, StoreUnavailableError

#: What the scripts need.
MINIMUM_VERSION = (6, 2)

_TIMEOUT_SECONDS = 5


def check_server(url: str) -> None:
    """Checks that the server answers, is new enough, and never evicts.

    Raises:
        StoreUnavailableError: it does not answer.
        StoreRefusedError: it is too old, or may throw away sessions and jobs when its memory is full.

    Example:
        >>> check_server("redis://localhost:6379/0")
    """
    info = _read_info(url)
    where = _without_password(url)
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


def check_broker(url: str) -> None:
    """Checks that a Redis that serves Celery takes the credentials and has the database of the URL.

    One that does not answer is no reason to stop: Celery waits for it.

    Raises:
        StoreRefusedError: it refuses the credentials or has no such database.
    """
    if url.startswith(("redis://", "rediss://")):
        with suppress(StoreUnavailableError), _asking(url) as client:
            client.ping()


def _read_info(url: str) -> dict[str, Any]:
    with _asking(url) as client:
        return {**client.info("server"), **client.info("memory")}


@contextmanager
def _asking(url: str) -> Iterator[redis.Redis]:
    """A client that is asked within the block; what goes wrong becomes an error that names the server."""
    where = _without_password(url)
    try:
        with redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
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
