"""A server of its own, with the broker on it, for the processes of this folder."""

import secrets
from collections.abc import Iterator

import pytest

from tests.support.redis_server import RedisServer


@pytest.fixture(scope="package")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture
def namespace() -> str:
    return f"security-{secrets.token_hex(8)}"


@pytest.fixture
def process_settings(server: RedisServer, namespace: str) -> dict[str, object]:
    return {"redis_url": server.url(), "namespace": namespace}
