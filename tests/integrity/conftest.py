"""Settings for scrubs at full pace. A polite scrub would rest, because other tests make the server look
busy."""

import pytest

from agent_runtime.manager import Settings
from tests.support.redis_server import RedisServer


@pytest.fixture
def settings(server: RedisServer, namespace: str) -> Settings:
    return Settings(redis_url=server.url(), namespace=namespace, pace="full")
