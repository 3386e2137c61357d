"""`fakeredis`, which callers use in their own unit tests."""

import asyncio
from collections.abc import Callable

import fakeredis
import pytest

from manager import CachedSessionManager, SessionManager
from tests.manager.test_connection_kinds import live_once
from tests.support.clients import close
from tests.support.leftovers import find_leftovers

Opener = Callable[..., SessionManager]

EVERY_FAKE = pytest.mark.parametrize(
    ("cls", "decodes"),
    [
        (fakeredis.FakeRedis, False),
        (fakeredis.FakeRedis, True),
        (fakeredis.FakeStrictRedis, False),
        (fakeredis.FakeAsyncRedis, False),
        (fakeredis.FakeAsyncRedis, True),
    ],
)


@EVERY_FAKE
async def test_sessions_live_in_a_fake(
    open_manager: Opener, namespace: str, cls: type, decodes: bool
) -> None:
    fake = fakeredis.FakeServer()
    conn = cls(server=fake, decode_responses=decodes)
    await live_once(open_manager(conn=conn))
    await live_once(open_manager(CachedSessionManager, conn=conn))
    assert find_leftovers(fakeredis.FakeRedis(server=fake), namespace) == []
    await close(conn)


@EVERY_FAKE
async def test_gathered_calls_are_served_by_a_fake(open_manager: Opener, cls: type, decodes: bool) -> None:
    conn = cls(decode_responses=decodes)
    manager = open_manager(conn=conn)
    created = await asyncio.gather(*(manager.create_session(f"user_{n}", "bot") for n in range(100)))
    assert await asyncio.gather(*(manager.get_session(each.session_id) for each in created)) == created
    assert await manager.get_active_session_count() == 100
    await close(conn)


def test_a_fake_serves_several_loops_in_turn() -> None:
    manager = SessionManager(fakeredis.FakeRedis())
    session = asyncio.run(manager.create_session("ann", "bot"))
    assert asyncio.run(manager.get_session(session.session_id)) == session
