"""A cache that is bounded, never returns what expired, and sees its own changes at once."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import redis

from agent_runtime.manager import CachedSessionManager, InvalidArgumentError, Session, SessionManager
from tests.support.clients import client_for
from tests.support.keyspace import script_calls
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]


@pytest.fixture
def cached(open_manager: Opener) -> CachedSessionManager:
    manager = open_manager(CachedSessionManager, arguments={"cache_size": 3, "max_staleness": 600})
    assert isinstance(manager, CachedSessionManager)
    return manager


async def _calls(raw: redis.Redis, *reads: Awaitable[Any]) -> int:
    """How many scripts these reads ran on the server."""
    before = script_calls(raw)
    for read in reads:
        await read
    return script_calls(raw) - before


def test_the_cache_holds_a_hundred_sessions_for_a_second_unless_told() -> None:
    manager = CachedSessionManager(redis.Redis())
    assert (manager._context.reader._size, manager._context.reader._max_staleness) == (100, 1.0)


@pytest.mark.parametrize(
    ("name", "value"), [("cache_size", 0), ("cache_size", 1.5), ("max_staleness", 0), ("max_staleness", -1)]
)
def test_bad_bounds_are_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        CachedSessionManager(redis.Redis(), **{name: value})


async def test_a_session_read_twice_is_read_from_redis_once(
    cached: CachedSessionManager, raw: redis.Redis
) -> None:
    session = await cached.create_session("ann", "bot", {"a": 1})
    assert await cached.get_session(session.session_id) == session
    assert await _calls(raw, cached.get_session(session.session_id)) == 0
    assert await cached.get_session(session.session_id) == session


async def test_the_one_not_asked_for_longest_goes_first(
    cached: CachedSessionManager, raw: redis.Redis
) -> None:
    ids = [session.session_id for session in await create_sessions(cached, 4)]
    for session_id in (ids[0], ids[1], ids[2], ids[0], ids[3]):
        await cached.get_session(session_id)
    assert len(cached._context.reader._copies) == 3
    assert await _calls(raw, *(cached.get_session(ids[kept]) for kept in (0, 2, 3))) == 0
    assert await _calls(raw, cached.get_session(ids[1])) == 1


async def test_callers_get_copies(cached: CachedSessionManager) -> None:
    session = await cached.create_session("ann", "bot", {"list": [1]})
    for _ in range(3):
        found = await cached.get_session(session.session_id)
        assert found == session
        found.metadata["list"].append(2)
        found.user_id = "mallory"


async def test_what_is_not_there_is_not_remembered(
    cached: CachedSessionManager, open_manager: Opener
) -> None:
    assert await cached.get_session("sess_1") is None
    assert not cached._context.reader._copies


async def _by_name(manager: SessionManager, session: Session, change: str) -> None:
    await {
        "merged": lambda: manager.update_session_metadata(session.session_id, {"b": 2}),
        "replaced": lambda: manager.update_session(session.session_id, metadata={"b": 2}),
        "moved": lambda: manager.update_session(session.session_id, agent_id="other"),
        "lengthened": lambda: manager.update_session(
            session.session_id, expires_at=session.expires_at + timedelta(hours=1)
        ),
        "refreshed": lambda: manager.refresh_session(session.session_id),
        "deleted": lambda: manager.delete_session(session.session_id),
        "user deleted": lambda: manager.delete_user_sessions("ann"),
        "user revoked": lambda: manager.revoke_user_sessions("ann"),
        "agent deleted": lambda: manager.delete_agent_sessions("bot"),
        "agent revoked": lambda: manager.revoke_agent_sessions("bot"),
    }[change]()


CHANGES = [
    "merged",
    "replaced",
    "moved",
    "lengthened",
    "refreshed",
    "deleted",
    "user deleted",
    "user revoked",
    "agent deleted",
    "agent revoked",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_its_own_changes_are_seen_at_once(
    cached: CachedSessionManager, manager: SessionManager, change: str
) -> None:
    session = await cached.create_session("ann", "bot", {"a": 1})
    other = await cached.create_session("bob", "helper")
    for each in (session, other):
        await cached.get_session(each.session_id)
    await _by_name(cached, session, change)
    found = await cached.get_session(session.session_id)
    assert found == await manager.get_session(session.session_id)
    assert found != session or change == "refreshed"
    assert await cached.get_session(other.session_id) == other


@pytest.mark.parametrize("change", CHANGES)
async def test_a_read_begun_before_a_change_does_not_bring_the_old_state_back(
    open_manager: Opener, manager: SessionManager, server: RedisServer, change: str
) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1})
    async with Proxy(server.port) as proxy:
        cached = open_manager(
            CachedSessionManager,
            arguments={"max_staleness": 600},
            # On one connection, the change would wait behind the read.
            conn=client_for("pooled", proxy.url()),
        )
        await cached.get_session("sess_unknown")  # the server knows the script
        calls = proxy.calls
        proxy.hold_reply_of_call(calls + 1)
        reading = asyncio.create_task(cached.get_session(session.session_id))
        await wait_until(lambda: proxy.calls > calls, description="the read was sent")
        await _by_name(cached, session, change)
        assert not reading.done()
        proxy.release_replies()
        assert await reading == session  # which was the state when it was read
        found = await cached.get_session(session.session_id)
        await cached.aclose()
    assert found == await manager.get_session(session.session_id)


@pytest.mark.parametrize("change", ["merged", "deleted", "user revoked"])
async def test_changes_of_another_process_are_seen_within_the_staleness(
    open_manager: Opener, manager: SessionManager, change: str
) -> None:
    cached = open_manager(CachedSessionManager, arguments={"max_staleness": 0.3, "tracking": False})
    session = await manager.create_session("ann", "bot", {"a": 1})
    started = time.monotonic()
    assert await cached.get_session(session.session_id) == session
    changed = time.monotonic()
    await _by_name(manager, session, change)
    stale = await cached.get_session(session.session_id)
    if time.monotonic() - started < 0.3:
        assert stale == session
    truth = await manager.get_session(session.session_id)

    async def has_seen() -> bool:
        asked = time.monotonic()
        found = await cached.get_session(session.session_id)
        assert found == truth or asked < changed + 0.3, "a copy was older than it may be"
        return found == truth

    await wait_until(has_seen, description="the change was seen")


@pytest.mark.parametrize("attempt", range(5))
async def test_an_expired_session_is_never_returned(
    cached: CachedSessionManager, raw: redis.Redis, attempt: int
) -> None:
    """Not by a fraction of a millisecond. (By up to one it was, as the server's time was rounded down.)"""

    def server_ms() -> float:
        seconds, microseconds = raw.time()
        return seconds * 1000 + microseconds / 1000

    found = None
    while found is None:  # on a slow machine it may be over before it is read
        session = await cached.create_session("ann", "bot")
        soon = session.created_at + timedelta(seconds=0.2)
        with suppress(InvalidArgumentError):
            await cached.update_session(session.session_id, expires_at=soon)
            found = await cached.get_session(session.session_id)
    ends_ms = found.expires_at.timestamp() * 1000
    while (asked_ms := server_ms()) < ends_ms + 5:
        found = await cached.get_session(session.session_id)
        assert found is None or asked_ms < ends_ms
    assert await cached.get_session(session.session_id) is None


async def test_bad_ids_are_refused_as_by_the_parent(cached: CachedSessionManager) -> None:
    with pytest.raises(InvalidArgumentError, match="session_id"):
        await cached.get_session("")


async def test_the_naive_subclass_of_the_contract_works(open_manager: Opener, raw: redis.Redis) -> None:
    class NaiveManager(SessionManager):
        def __init__(self, *args: Any, cache_size: int = 100, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._cache: dict[str, Session] = {}

        async def get_session(self, session_id: str) -> Session | None:
            if session_id in self._cache:
                return self._cache[session_id]
            session = await super().get_session(session_id)
            if session:
                self._cache[session_id] = session
            return session

    manager = open_manager(NaiveManager, arguments={"cache_size": 5})
    session = await manager.create_session("ann", "bot")
    first = await manager.get_session(session.session_id)
    assert first == session
    assert await _calls(raw, manager.get_session(session.session_id)) == 0
    assert await manager.get_session(session.session_id) is first
    assert await manager.get_session("sess_unknown") is None
    assert await manager.get_sessions_by_user("ann") == [session]
    assert await manager.delete_user_sessions("ann") == 1


async def test_a_session_that_moved_to_an_agent_elsewhere_is_gone_with_that_agent(
    cached: CachedSessionManager, manager: SessionManager
) -> None:
    [session] = await create_sessions(cached, 1)
    await cached.get_session(session.session_id)
    await manager.update_session(session.session_id, agent_id="other")

    assert await cached.delete_agent_sessions("other") == 1
    assert await cached.get_session(session.session_id) is None


async def test_threads_share_a_cache(cached: CachedSessionManager) -> None:
    sessions = await create_sessions(cached, 20)

    async def use(number: int) -> None:
        for turn in range(60):
            await cached.get_session(sessions[(number + turn) % 20].session_id)
            cached._context.reader.sessions_revoked(f"nobody {turn}", None)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        await asyncio.gather(*(asyncio.to_thread(asyncio.run, use(number)) for number in range(8)))
    finally:
        sys.setswitchinterval(before)
