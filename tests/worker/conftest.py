"""A server for the processes of these tests, and its settings."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ROOT
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="package")
def server() -> Iterator[RedisServer]:
    """Also the broker, so not the server that other tests share."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def namespace() -> str:
    return f"worker-{secrets.token_hex(8)}"


@pytest.fixture
def process_settings(server: RedisServer, namespace: str) -> dict[str, object]:
    return {"redis_url": server.url(), "namespace": namespace}


@pytest.fixture(params=["worker", "agent_runtime"])
def spelling(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Name the app both ways: `-A worker` in the checkout, `-A agent_runtime` in any folder."""
    return {"app": request.param, "folder": ROOT if request.param == "worker" else tmp_path}
