"""A server for users' keys, and managers that keep their keys there."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager
from tests.support.encryption import key_ring
from tests.support.redis_server import RedisServer

Opener = Callable[..., SessionManager]


@pytest.fixture(scope="package")
def key_server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(autouse=True)
def every_key_of_a_user_has_an_end(key_server: RedisServer) -> Iterator[None]:
    yield
    if key_server.running:
        with key_server.client() as client:
            immortal = [key for key in client.scan_iter() if client.pttl(key) == -1]
            client.flushall()
        assert immortal == []


@pytest.fixture
def keys_raw(key_server: RedisServer) -> Iterator[redis.Redis]:
    with key_server.client() as client:
        yield client


@pytest.fixture
def open_keyed(open_manager: Opener, key_server: RedisServer) -> Opener:
    """Return a function that opens managers with users' keys."""

    def open_(*arguments: Any, **changes: Any) -> SessionManager:
        keyed = {"encryption_keys": key_ring("k1"), "user_keys_url": key_server.url()}
        return open_manager(*arguments, **(keyed | changes))

    return open_
