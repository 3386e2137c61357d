"""One operation on one session is one command; calls of one tick of the loop leave together."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
import redis.asyncio

from agent_runtime.manager import Session, SessionManager
from tests.support.clients import OwnConnection
from tests.support.keyspace import script_calls
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer

Operation = Callable[[SessionManager, Session, str], Awaitable[Any]]

OPERATIONS: dict[str, Operation] = {
    "create_session": lambda m, s, c: m.create_session("ann", "bot", {"a": 1}),
    "get_session": lambda m, s, c: m.get_session(s.session_id),
    "update_session": lambda m, s, c: m.update_session(s.session_id, metadata={}, agent_id="other"),
    "update_session_metadata": lambda m, s, c: m.update_session_metadata(s.session_id, {"b": 2}),
    "session_exists": lambda m, s, c: m.session_exists(s.session_id),
    "refresh_session": lambda m, s, c: m.refresh_session(s.session_id),
    "get_sessions_by_user": lambda m, s, c: m.get_sessions_by_user("ann"),
    "get_sessions_by_agent": lambda m, s, c: m.get_sessions_by_agent("bot"),
    "get_active_session_count": lambda m, s, c: m.get_active_session_count(),
    "get_active_session_count of a user": lambda m, s, c: m.get_active_session_count("ann"),
    "save_checkpoint": lambda m, s, c: m.save_checkpoint(s.session_id, {}),
    "get_checkpoint": lambda m, s, c: m.get_checkpoint(s.session_id, c),
    "get_latest_checkpoint": lambda m, s, c: m.get_latest_checkpoint(s.session_id),
    "delete_checkpoint": lambda m, s, c: m.delete_checkpoint(s.session_id, c),
    "clear_checkpoints": lambda m, s, c: m.clear_checkpoints(s.session_id),
    "delete_session": lambda m, s, c: m.delete_session(s.session_id),
    "revoke_user_sessions": lambda m, s, c: m.revoke_user_sessions("ann"),
}


def _commands(raw: redis.Redis) -> int:
    return int(raw.info("stats")["total_commands_processed"])


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_operation_on_one_session_is_one_script_call(
    manager: SessionManager, raw: redis.Redis, name: str
) -> None:
    for _ in range(2):  # the first time the server has to be given the script
        session = await manager.create_session("ann", "bot")
        checkpoint_id = await manager.save_checkpoint(session.session_id, {})
        before = script_calls(raw)
        await OPERATIONS[name](manager, session, checkpoint_id)
        calls = script_calls(raw) - before
        await manager.delete_user_sessions("ann")
    assert calls == 1


async def test_a_listing_is_one_call_more_than_its_pages(manager: SessionManager, raw: redis.Redis) -> None:
    session = await manager.create_session("ann", "bot")
    for _ in range(2):
        await manager.save_checkpoint(session.session_id, {})
        await manager.list_checkpoints(session.session_id)
    before = script_calls(raw)
    await manager.list_checkpoints(session.session_id)
    assert script_calls(raw) - before <= 2


async def test_calls_of_one_tick_leave_as_one_batch_on_one_connection(
    open_manager: Callable[..., SessionManager], server: RedisServer
) -> None:
    async with Proxy(server.port) as proxy:
        manager = open_manager(redis_url=proxy.url())
        session = await manager.create_session("ann", "bot")
        await manager.get_session(session.session_id)
        await manager.save_checkpoint(session.session_id, {})
        calls = proxy.calls
        await asyncio.gather(
            *(manager.create_session("ann", "bot") for _ in range(30)),
            *(manager.get_session(session.session_id) for _ in range(30)),
            *(manager.save_checkpoint(session.session_id, {"turn": turn}) for turn in range(30)),
        )
        assert proxy.calls - calls <= 2  # one write; the network may cut it in two
        assert proxy.connections == 1
        await manager.aclose()


@pytest.mark.parametrize("width", [1, 3])
async def test_there_are_never_more_connections_than_the_pool_may_have(
    open_manager: Callable[..., SessionManager], server: RedisServer, width: int
) -> None:
    async with Proxy(server.port) as proxy:
        pool = redis.asyncio.ConnectionPool(
            connection_class=OwnConnection, max_connections=width, host="127.0.0.1", port=proxy.port
        )
        manager = open_manager(conn=redis.asyncio.Redis(connection_pool=pool))
        await manager.session_exists("sess_1")
        proxy.hold_replies()
        asking = []
        for number in range(10):  # each in a tick of its own, while earlier ones wait for their replies
            asking.append(asyncio.create_task(manager.session_exists(f"sess_{number}")))
            await asyncio.sleep(0.01)
        assert proxy.connections == width
        proxy.release_replies()
        assert await asyncio.gather(*asking) == [False] * 10
        await manager.aclose()


async def test_every_caller_of_a_batch_gets_its_own_reply(manager: SessionManager) -> None:
    created = await asyncio.gather(
        *(manager.create_session(f"user_{number}", f"agent_{number}", {"n": number}) for number in range(300))
    )
    for number, session in enumerate(created):
        assert (session.user_id, session.agent_id) == (f"user_{number}", f"agent_{number}")
    mixed = await asyncio.gather(
        *(
            manager.get_session(session.session_id if number % 3 else "sess_unknown")
            for number, session in enumerate(created)
        )
    )
    assert mixed == [session if number % 3 else None for number, session in enumerate(created)]


async def test_one_refused_call_does_not_harm_the_others_of_its_batch(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    sessions = [await manager.create_session(f"user_{number}", "bot") for number in range(5)]
    broken = f"{namespace}:{{0}}:o:{sessions[2].session_id}"
    raw.set(broken, "no sorted set", ex=60)
    saves = (manager.save_checkpoint(session.session_id, {"turn": 1}) for session in sessions)
    answers = await asyncio.gather(*saves, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == ["str", "str", "CorruptDataError", "str", "str"]
    raw.delete(broken)
    await manager.delete_session(sessions[2].session_id)
