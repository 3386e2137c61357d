"""One server and one real worker for the tests of this folder, in one namespace: the worker's."""

import secrets
from collections.abc import Iterator

import pytest

from agent_runtime.manager import Settings
from agent_runtime.tasks import SessionJobs
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.redis_server import RedisServer


@pytest.fixture(scope="package")
def server() -> Iterator[RedisServer]:
    """The broker lies on it too, so it is not the server that other tests share."""
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="package")
def worker_settings(server: RedisServer) -> dict[str, object]:
    return {"redis_url": server.url(), "namespace": f"tasks-{secrets.token_hex(8)}", "slice_seconds": 0.01}


@pytest.fixture
def namespace(worker_settings: dict[str, object]) -> str:
    return str(worker_settings["namespace"])


@pytest.fixture
def settings(worker_settings: dict[str, object]) -> Settings:
    return Settings(**worker_settings, call_timeout_seconds=30)  # type: ignore[arg-type]


@pytest.fixture(scope="package")
def worker(worker_settings: dict[str, object]) -> Iterator[CeleryProcess]:
    with celery_worker(**worker_settings) as running:
        yield running


@pytest.fixture
def jobs(manager: object, worker: CeleryProcess) -> SessionJobs:
    """Enqueues, with a worker behind it."""
    return SessionJobs(manager)  # type: ignore[arg-type]
