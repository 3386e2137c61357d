"""Servers that a test may break."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from agent_runtime.manager import SessionManager
from tests.support.clients import ENGINES, client_for
from tests.support.leftovers import find_leftovers
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer


@pytest.fixture
def breakable(namespace: str) -> Iterator[RedisServer]:
    """A server of this test's own that keeps its data over a restart."""
    with RedisServer(keeps_data=True) as server:
        yield server
        if not server.running:
            server.start()
        server.thaw()
        with server.client() as client:
            client.config_set("maxmemory", 0)
            found = find_leftovers(client, namespace)
    assert not found, "left behind:\n" + "\n".join(found)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Engine of a manager: its calls share one connection, or use a pool."""
    return str(request.param)


@pytest.fixture
def fragile(
    open_manager: Callable[..., SessionManager], breakable: RedisServer, engine: str
) -> SessionManager:
    """A manager on that server."""
    return open_manager(redis_url=breakable.url(), conn=client_for(engine, breakable.url()))


@pytest.fixture
def impatient(
    open_manager: Callable[..., SessionManager], breakable: RedisServer, engine: str
) -> SessionManager:
    """A manager whose calls may take half a second."""
    return open_manager(
        redis_url=breakable.url(), conn=client_for(engine, breakable.url()), call_timeout_seconds=0.5
    )


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def proxied(
    open_manager: Callable[..., SessionManager], proxy: Proxy, engine: str
) -> AsyncIterator[SessionManager]:
    """A manager behind the proxy, connected, which knows that the server has the common scripts."""
    manager = open_manager(redis_url=proxy.url(), conn=client_for(engine, proxy.url()))
    session = await manager.create_session("warm", "up")
    await manager.save_checkpoint(session.session_id, {})
    await manager.get_session(session.session_id)
    await manager.delete_user_sessions("warm")
    yield manager
    await manager.aclose()
