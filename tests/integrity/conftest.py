"""Checks at full pace: a polite one takes other tests on the same machine for a busy server, and rests."""

import pytest

from agent_runtime.manager import Settings
from tests.support.redis_server import RedisServer


@pytest.fixture
def settings(server: RedisServer, namespace: str) -> Settings:
    return Settings(redis_url=server.url(), namespace=namespace, pace="full")
