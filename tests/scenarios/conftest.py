"""A server for each test, and the processes that work on it. A test may break all of them."""

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from agent_runtime.manager import SessionManager, Settings
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.redis_server import RedisServer


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(keeps_data=True) as running:
        yield running


@pytest.fixture
def process_settings(server: RedisServer) -> dict[str, Any]:
    """Settings for processes that soon notice losses, and work slowly enough to be interrupted."""
    return {
        "redis_url": server.url(),
        "namespace": f"scenario-{secrets.token_hex(8)}",
        "max_sessions": 1_000_000,
        "slice_seconds": 0.2,
        "batch_target_ms": 0.001,
        "stalled_after_seconds": 0.5,
        "resume_interval_seconds": 0.3,
        "call_timeout_seconds": 1,
    }


@pytest.fixture
def namespace(process_settings: dict[str, Any]) -> str:
    return str(process_settings["namespace"])


@pytest.fixture
def settings(process_settings: dict[str, Any]) -> Settings:
    return Settings(**{**process_settings, "call_timeout_seconds": 30})


@pytest.fixture
async def impatient(settings: Settings) -> AsyncIterator[SessionManager]:
    """A manager that waits for half a second at most."""
    changed = settings.model_copy(update={"call_timeout_seconds": 0.5})
    async with SessionManager.from_settings(changed) as manager:
        yield manager


@pytest.fixture
def beat(process_settings: dict[str, Any]) -> Iterator[CeleryProcess]:
    with CeleryProcess("beat", "--loglevel", "INFO", **process_settings) as running:
        yield running


@pytest.fixture
def worker(process_settings: dict[str, Any], beat: CeleryProcess) -> Iterator[CeleryProcess]:
    """A worker, with Beat beside it to have lost messages published again."""
    with celery_worker(**process_settings) as running:
        yield running
