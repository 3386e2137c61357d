"""Whatever client a caller hands over works, and its settings are the ones used."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis
import redis.asyncio as aredis

from agent_runtime.manager import InvalidArgumentError, SessionManager, StoreRefusedError
from agent_runtime.manager.transport.async_twin import PoolChannel, open_channel
from tests.support.clients import CLIENTS_OWN, KINDS, POOL, close, connections_of
from tests.support.redis_server import RedisServer
from tests.support.sessions import save_turns, turns
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]


@pytest.fixture(params=KINDS)
async def conn(request: pytest.FixtureRequest, server: RedisServer, namespace: str) -> AsyncIterator[Any]:
    conn = KINDS[request.param](server, namespace)
    yield conn
    await close(conn)


async def live_once(manager: SessionManager) -> None:
    """A session's life through every kind of script."""
    session = await manager.create_session("ann", "bot", {"tier": "é"})
    assert await manager.get_session(session.session_id) == session
    assert await manager.update_session_metadata(session.session_id, {"turn": 1})
    ids = await save_turns(manager, session.session_id, 3)
    assert await turns(manager, session.session_id) == [0, 1, 2]
    found = await manager.get_checkpoint(session.session_id, ids[0])
    assert found is not None
    assert found["data"] == {"turn": 0}
    assert [each.metadata for each in await manager.get_sessions_by_user("ann")] == [{"tier": "é", "turn": 1}]
    assert await manager.prune_checkpoints(keep_last=1) == 2
    assert await manager.get_active_session_count() == 1
    assert await manager.delete_user_sessions("ann") == 1
    assert await manager.get_session(session.session_id) is None


async def test_every_kind_of_client_works(open_manager: Opener, conn: Any) -> None:
    await live_once(open_manager(conn=conn))


async def test_the_settings_of_the_client_are_used_and_its_connections_are_not(
    open_manager: Opener, conn: Any, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(conn=conn)
    before = connections_of(raw, namespace)  # `single_connection_client` connects when it is made
    await manager.session_exists("sess_1")
    assert len(connections_of(raw, namespace)) == len(before) + 1
    await manager.aclose()
    await wait_until(
        lambda: len(connections_of(raw, namespace)) == len(before), description="the server saw it closed"
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "pool" in kind])
async def test_a_thousand_gathered_calls_fit_into_the_pool(
    open_manager: Opener, server: RedisServer, raw: redis.Redis, namespace: str, kind: str
) -> None:
    conn = KINDS[kind](server, namespace)
    manager = open_manager(conn=conn)
    created = await asyncio.gather(
        *(manager.create_session(f"user_{number}", "bot") for number in range(1000))
    )
    found = await asyncio.gather(*(manager.get_session(each.session_id) for each in created))
    assert found == created
    assert 1 <= len(connections_of(raw, namespace)) <= POOL
    await close(conn)


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
async def test_a_pool_of_one_connection_is_enough(
    open_manager: Opener, server: RedisServer, raw: redis.Redis, namespace: str, cls: type
) -> None:
    pool_class = redis.ConnectionPool if cls is redis.Redis else aredis.ConnectionPool
    arguments = {"host": "127.0.0.1", "port": server.port, "client_name": namespace}
    conn = cls(connection_pool=pool_class(max_connections=1, **arguments))
    manager = open_manager(conn=conn)

    async def talk(user: int) -> int:
        session = await manager.create_session(f"user_{user}", "bot")
        await save_turns(manager, session.session_id, 3)
        return len(await manager.list_checkpoints(session.session_id))

    assert await asyncio.gather(*(talk(user) for user in range(100))) == [3] * 100
    assert len(connections_of(raw, namespace)) == 1
    await close(conn)


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
async def test_another_database_is_another_store(
    open_manager: Opener, manager: SessionManager, server: RedisServer, namespace: str, cls: type
) -> None:
    other = open_manager(conn=cls(host="127.0.0.1", port=server.port, db=3))
    session = await other.create_session("ann", "bot")
    assert await other.session_exists(session.session_id)
    assert not await manager.session_exists(session.session_id)
    with server.client(db=3) as third:
        assert third.exists(f"{namespace}:{{0}}:s:{session.session_id}") == 1
    await close(other._context.client._conn)


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
@pytest.mark.parametrize("way", ["arguments", "url", "provider"])
async def test_a_user_name_and_a_password_are_used(
    open_manager: Opener, server: RedisServer, raw: redis.Redis, namespace: str, cls: type, way: str
) -> None:
    allowed = ["+@all", f"~{namespace}:*"]
    raw.execute_command("ACL", "SETUSER", namespace, "on", ">pass:word/é", *allowed)
    if way == "arguments":
        arguments = {"host": "127.0.0.1", "port": server.port}
        conn = cls(**arguments, username=namespace, password="pass:word/é", client_name=namespace)
        wrong = cls(**arguments, username=namespace, password="wrong")
    elif way == "provider":
        arguments = {"host": "127.0.0.1", "port": server.port}
        right = redis.UsernamePasswordCredentialProvider(namespace, "pass:word/é")
        conn = cls(**arguments, credential_provider=right, client_name=namespace)
        wrong = cls(**arguments, credential_provider=redis.UsernamePasswordCredentialProvider("x", "y"))
    else:
        url = f"redis://{namespace}:{{}}@127.0.0.1:{server.port}/0"
        conn = cls.from_url(url.format("pass%3Aword%2F%C3%A9"), client_name=namespace)
        wrong = cls.from_url(url.format("wrong"))
    manager = open_manager(conn=conn)
    await live_once(manager)
    assert {each["user"] for each in connections_of(raw, namespace)} == {namespace}
    with pytest.raises(StoreRefusedError):
        await open_manager(conn=wrong).session_exists("sess_1")
    elsewhere = open_manager(conn=conn, namespace=f"other-{namespace[5:]}")
    with pytest.raises(StoreRefusedError, match=r"(?i)perm"):
        await elsewhere.create_session("ann", "bot")
    await manager.aclose()
    await elsewhere.aclose()
    raw.execute_command("ACL", "DELUSER", namespace)
    await close(conn)
    await close(wrong)


@pytest.mark.parametrize("kind", ["sync, own timeouts", "sync, health checks", "async"])
async def test_connections_neither_time_out_nor_retry_by_themselves(
    server: RedisServer, namespace: str, kind: str
) -> None:
    """Calls are bounded and repeated from outside: a batch is one call, and cancelling it stays possible."""
    conn = KINDS[kind](server, namespace)
    channel = open_channel(conn)
    assert isinstance(channel, PoolChannel)
    twin = channel._pool.make_connection()
    assert twin.socket_timeout is None
    assert twin.retry.get_retries() == 0
    assert (twin.socket_connect_timeout == CLIENTS_OWN) is ("timeouts" in kind)
    assert twin.socket_connect_timeout
    await close(conn)


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
async def test_a_user_without_the_script_command_can_call(
    open_manager: Opener, server: RedisServer, raw: redis.Redis, namespace: str, cls: type
) -> None:
    raw.execute_command("ACL", "SETUSER", namespace, "on", "nopass", "+@all", "-script", f"~{namespace}:*")
    raw.script_flush()
    conn = cls(host="127.0.0.1", port=server.port, username=namespace, password="any")
    manager = open_manager(conn=conn)
    await live_once(manager)
    await manager.aclose()
    raw.execute_command("ACL", "DELUSER", namespace)
    await close(conn)


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
async def test_a_database_that_is_not_there_is_refused(
    open_manager: Opener, server: RedisServer, cls: type
) -> None:
    conn = cls(host="127.0.0.1", port=server.port, db=999)
    with pytest.raises(StoreRefusedError, match="out of range"):
        await open_manager(conn=conn).session_exists("sess_1")
    await close(conn)


def test_a_cluster_client_is_refused_with_the_reason() -> None:
    class Cluster:
        """Has no connection pool of one server, as `redis.RedisCluster` has none."""

    with pytest.raises(InvalidArgumentError, match="Cluster"):
        SessionManager(Cluster())  # type: ignore[arg-type]


async def test_a_connection_hook_of_a_synchronous_client_is_called(
    open_manager: Opener, server: RedisServer
) -> None:
    """An async connection cannot call it, so such a client is called in threads."""
    hooked: list[str] = []
    conn = redis.Redis(connection_pool=redis.ConnectionPool(port=server.port))

    def on_connect(connection: redis.Connection) -> None:
        connection.on_connect()
        hooked.append("called")

    conn.connection_pool.connection_kwargs["redis_connect_func"] = on_connect
    manager = open_manager(conn=conn)
    session = await manager.create_session("ann", "bot")

    assert await manager.get_session(session.session_id) == session
    assert hooked
    conn.close()
