"""A server for the processes of this folder, and settings that lead to it."""

import secrets
from collections.abc import Iterator

import pytest

from tests.support.redis_server import RedisServer


@pytest.fixture(scope="package")
def server() -> Iterator[RedisServer]:
    """The broker lies on it too, so it is not the server that other tests share."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def namespace() -> str:
    return f"worker-{secrets.token_hex(8)}"


@pytest.fixture
def process_settings(server: RedisServer, namespace: str) -> dict[str, object]:
    return {"redis_url": server.url(), "namespace": namespace}
