"""A fail-over behind one address: the old primary lives on as a replica, and keeps the connections it has."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import NamedTuple

import pytest
import redis

from agent_runtime.manager import CachedSessionManager, SessionManager, StoreUnavailableError
from tests.support.clients import client_for
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.wait_until import wait_until, wait_until_blocking

Opener = Callable[..., SessionManager]


class Pair(NamedTuple):
    """Two servers, the second a replica of the first until `fail_over`, and the address of the primary."""

    first: redis.Redis
    second: redis.Redis
    second_port: int
    first_port: int
    address: Proxy

    def fail_over(self) -> None:
        """Promote the second server and demote the first. The address leads new connections to the second."""
        self._until_replicated()
        self.second.replicaof("NO", "ONE")
        self.address.lead_to(self.second_port)
        self.first.replicaof("127.0.0.1", self.second_port)

    def _until_replicated(self) -> None:
        wait_until_blocking(
            lambda: (
                self.first.info("replication")["slave0"]["offset"]
                == self.first.info("replication")["master_repl_offset"]
            ),
            description="the replica to have everything",
        )


@pytest.fixture
def two_servers() -> Iterator[tuple[RedisServer, RedisServer]]:
    with RedisServer() as first, RedisServer() as second:
        with first.client() as client, second.client() as replica:
            client.config_set("repl-diskless-sync-delay", 0)
            replica.config_set("repl-diskless-sync-delay", 0)
            replica.replicaof("127.0.0.1", first.port)
            wait_until_blocking(
                lambda: replica.info("replication")["master_link_status"] == "up",
                description="the replica to follow",
            )
        yield first, second


@pytest.fixture
async def pair(two_servers: tuple[RedisServer, RedisServer]) -> AsyncIterator[Pair]:
    first, second = two_servers
    async with Proxy(first.port) as address:
        with first.client() as one, second.client() as two:
            yield Pair(one, two, second.port, first.port, address)


async def test_writes_go_on_at_the_new_primary(open_manager: Opener, pair: Pair, engine: str) -> None:
    manager = open_manager(conn=client_for(engine, pair.address.url()))
    session = await manager.create_session("ann", "bot")
    pair.fail_over()
    saved = await asyncio.gather(*(manager.save_checkpoint(session.session_id, {"n": n}) for n in range(20)))
    assert len(await manager.list_checkpoints(session.session_id)) == len(set(saved)) == 20
    assert pair.second.exists(manager._context.partitions.of_user("ann").checkpoints(session.session_id))
    await manager.aclose()


async def test_a_demoted_primary_answers_no_read_for_long(
    open_manager: Opener, pair: Pair, engine: str
) -> None:
    manager = open_manager(conn=client_for(engine, pair.address.url()))
    other = open_manager(redis_url=f"redis://127.0.0.1:{pair.second_port}/0")
    session = await manager.create_session("ann", "bot")
    pair.fail_over()
    pair.first.replicaof("127.0.0.1", 1)  # it hears of nothing any more
    assert await other.delete_user_sessions("ann") == 1

    async def is_gone() -> bool:
        return await manager.get_session(session.session_id) is None

    await wait_until(is_gone, description="the new primary to be asked")
    await manager.aclose()
    await other.aclose()


async def test_copies_of_the_old_primary_are_used_no_longer(open_manager: Opener, pair: Pair) -> None:
    cached = open_manager(
        CachedSessionManager,
        conn=client_for("multiplexed", pair.address.url()),
        arguments={"max_staleness": 1},
    )
    other = open_manager(redis_url=f"redis://127.0.0.1:{pair.second_port}/0")
    session = await cached.create_session("ann", "bot")
    await cached.get_session(session.session_id)
    await wait_until(cached.is_tracking_active, description="invalidation messages")
    pair.fail_over()
    pair.first.replicaof("127.0.0.1", 1)
    assert await other.delete_user_sessions("ann") == 1

    async def is_gone() -> bool:
        return await cached.get_session(session.session_id) is None

    await wait_until(is_gone, description="the copy to be dropped")
    await cached.aclose()
    await other.aclose()


@pytest.mark.parametrize("refusal", ["READONLY", "NOREPLICAS", "MASTERDOWN"])
async def test_a_server_that_goes_on_refusing_is_said_and_nothing_was_applied(
    open_manager: Opener, two_servers: tuple[RedisServer, RedisServer], engine: str, refusal: str
) -> None:
    first, second = two_servers
    server = first if refusal == "NOREPLICAS" else second
    with server.client() as client:
        if refusal == "NOREPLICAS" and client.info("server")["redis_version"].startswith("6."):
            pytest.skip("in a script, Redis 6.2 does not look at min-replicas-to-write")
        if refusal == "NOREPLICAS":
            client.config_set("min-replicas-to-write", 2)
        elif refusal == "MASTERDOWN":
            client.config_set("replica-serve-stale-data", "no")
            client.replicaof("127.0.0.1", 1)
        manager = open_manager(conn=client_for(engine, server.url()), call_timeout_seconds=0.5)
        with pytest.raises(StoreUnavailableError, match="does not serve writes"):
            await manager.create_session("ann", "bot")
        assert client.dbsize() == 0 if refusal != "MASTERDOWN" else True
        if refusal == "NOREPLICAS":
            client.config_set("min-replicas-to-write", 0)
            assert await manager.create_session("ann", "bot")
        await manager.aclose()


@pytest.mark.parametrize("kind", ["redis6", "redis7", "valkey"])
async def test_each_server_is_understood(open_manager: Opener, kind: str, engine: str) -> None:
    """Redis 6.2 puts words of its own before those of a command in a script."""
    with RedisServer(kind) as server, server.client() as client:
        manager = open_manager(conn=client_for(engine, server.url()))
        session = await manager.create_session("ann", "bot")
        await manager.save_checkpoint(session.session_id, {"n": 0})
        before = client.info("stats")["total_connections_received"]
        client.replicaof("127.0.0.1", 1)
        saving = asyncio.create_task(manager.save_checkpoint(session.session_id, {"n": 1}))
        await wait_until(
            lambda: client.info("stats")["total_connections_received"] > before,
            description="a new connection, because the server refuses",
        )
        assert not saving.done()
        client.replicaof("NO", "ONE")
        assert await saving
        await manager.aclose()
