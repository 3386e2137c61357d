"""One real server for all tests, and for each test a namespace of its own."""

import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager, Settings
from tests.support.leftovers import find_leftovers, remove_namespace
from tests.support.redis_server import RedisServer

#: Databases of the shared server that tests use.
_DATABASES = (0, 3)


def pytest_configure() -> None:
    """Restore SIGINT. A shell's background jobs ignore Ctrl-C, and so would every process that is started
    here."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    """The server that all tests share. To stop or flush a server, a test starts one of its own."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def namespace() -> str:
    """First part of every key of this test, and of no other test."""
    return f"test-{secrets.token_hex(8)}"


@pytest.fixture(autouse=True)
def nothing_is_left_behind(server: RedisServer, namespace: str) -> Iterator[None]:
    """Fail a test after which keys have no time to live or indexes are wrong."""
    yield
    found = []
    for database in _DATABASES:
        with server.client(db=database) as client:
            found += find_leftovers(client, namespace)
            remove_namespace(client, namespace)
    assert not found, "left behind:\n" + "\n".join(found)


@pytest.fixture
def settings(server: RedisServer, namespace: str) -> Settings:
    """Settings with long timeouts: on a busy machine, a server may be slow to answer."""
    return Settings(
        redis_url=server.url(), namespace=namespace, call_timeout_seconds=30, connect_timeout_seconds=30
    )


@pytest.fixture
async def manager(settings: Settings) -> AsyncIterator[SessionManager]:
    async with SessionManager.from_settings(settings) as manager:
        yield manager


@pytest.fixture
async def open_manager(settings: Settings) -> AsyncIterator[Callable[..., SessionManager]]:
    """Return a function that opens managers on this test's namespace: `open_manager(ttl=0.02,
    partitions=4)`."""
    async with AsyncExitStack() as stack:

        def open_(
            cls: type[SessionManager] = SessionManager,
            conn: Any = None,
            ttl: float = 3600,
            max_sessions: int = 10_000,
            arguments: dict[str, Any] | None = None,
            **changes: Any,
        ) -> SessionManager:
            changed = Settings(**(settings.model_dump() | changes))
            conn = redis.Redis.from_url(changed.redis_url) if conn is None else conn
            manager = cls(conn, ttl, max_sessions, settings=changed, **arguments or {})
            stack.push_async_callback(manager.aclose)
            return manager

        yield open_


@pytest.fixture
def raw(server: RedisServer) -> Iterator[redis.Redis]:
    """A plain client, to look at keys without a manager."""
    with server.client() as client:
        yield client


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the properties that tests have recorded, such as seeds and numbers of inputs."""
    reports = [each for group in terminalreporter.stats.values() for each in group]
    for report in reports:
        if getattr(report, "when", "") == "teardown":  # the last report of a test, with all that it recorded
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{name}: {value}: {report.nodeid.rpartition('::')[2]}")
