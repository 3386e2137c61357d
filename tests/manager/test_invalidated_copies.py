"""What another process changes, a cache with tracking has seen once the server's word of it has arrived.

Every cache here would use a copy for ten minutes, so what it sees it was told.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

from agent_runtime.manager import (
    CachedSessionManager,
    InvalidArgumentError,
    Session,
    SessionManager,
    Settings,
)
from agent_runtime.manager.transport import invalidation as tracking
from agent_runtime.manager.transport.invalidation import Lease
from tests.support.keyspace import script_calls
from tests.support.processes import run_program
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]

_LEASE_SECONDS = 600


@pytest.fixture(autouse=True)
def pings_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_LONGEST_PAUSE_SECONDS", 0.01)


def _lease(cached: SessionManager) -> Lease | None:
    assert isinstance(cached, CachedSessionManager)
    found = cached._context.reader._trackers.get(asyncio.get_running_loop())
    return found[0].lease if found else None


async def _hear(cached: SessionManager) -> None:
    """Until a ping has been answered that was sent after this began: no more, and nothing is read."""
    since = time.monotonic()

    def is_answered() -> bool:
        lease = _lease(cached)
        return lease is not None and lease.valid_until - _LEASE_SECONDS >= since

    await wait_until(is_answered, description="a ping was answered")


@pytest.fixture
def open_tracking(open_manager: Opener) -> Callable[..., Any]:
    """Opens caches that are told of changes from now on."""

    async def open_(size: int = 100, **changes: Any) -> CachedSessionManager:
        arguments = {"max_staleness": _LEASE_SECONDS, "cache_size": size}
        cached = open_manager(CachedSessionManager, arguments=arguments, **changes)
        assert isinstance(cached, CachedSessionManager)
        await cached.get_session("sess_unknown")  # which has it listen
        await _hear(cached)
        return cached

    return open_


async def _read_twice(cached: SessionManager, raw: redis.Redis, session: Session) -> None:
    """The second time from memory."""
    assert await cached.get_session(session.session_id) == session
    before = script_calls(raw)
    assert await cached.get_session(session.session_id) == session
    assert script_calls(raw) == before


async def _is_read_from_memory(cached: SessionManager, raw: redis.Redis, session: Session) -> bool:
    """Whether the second of two reads is. It is not where the first was too long ago."""
    assert await cached.get_session(session.session_id) == session
    before = script_calls(raw)
    assert await cached.get_session(session.session_id) == session
    return script_calls(raw) == before


async def _change(manager: SessionManager, session: Session, change: str) -> None:
    name = session.session_id
    await {
        "merged": lambda: manager.update_session_metadata(name, {"b": 2}),
        "replaced": lambda: manager.update_session(name, metadata={"b": 2}),
        "handed over": lambda: manager.update_session(name, agent_id="other"),
        "lengthened": lambda: manager.update_session(
            name, expires_at=session.expires_at + timedelta(hours=1)
        ),
        "refreshed": lambda: manager.refresh_session(name),
        "deleted": lambda: manager.delete_session(name),
        "deleted with others": lambda: manager.delete_sessions([name]),
        "user deleted": lambda: manager.delete_user_sessions("ann"),
        "user revoked": lambda: manager.revoke_user_sessions("ann"),
        "user revoked for later": lambda: manager.revoke_user_sessions("ann", grace=3_600),
        "agent deleted": lambda: manager.delete_agent_sessions("bot"),
        "agent revoked": lambda: manager.revoke_agent_sessions("bot"),
    }[change]()


CHANGES = [
    "merged", "replaced", "handed over", "lengthened", "refreshed", "deleted", "deleted with others",
    "user deleted", "user revoked", "user revoked for later", "agent deleted", "agent revoked",
]  # fmt: skip


@pytest.mark.parametrize("partitions", [1, 3, 40])
@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_of_another_manager_is_seen_once_a_later_ping_is_answered(
    open_tracking: Any, open_manager: Opener, raw: redis.Redis, change: str, partitions: int
) -> None:
    cached, manager = await open_tracking(partitions=partitions), open_manager(partitions=partitions)
    session = await manager.create_session("ann", "bot", {"a": 1})
    beside = await manager.create_session("bob", "helper")
    await _hear(cached)
    for each in (session, beside):
        await _read_twice(cached, raw, each)
    await _change(manager, session, change)
    await _hear(cached)
    truth = await manager.get_session(session.session_id)
    assert truth != session or change == "refreshed"
    assert await cached.get_session(session.session_id) == truth
    await _read_twice(cached, raw, beside)


async def test_an_undone_deletion_is_seen_in_and_out(
    open_tracking: Any, manager: SessionManager, raw: redis.Redis
) -> None:
    cached = await open_tracking()
    session = await manager.create_session("ann", "bot", {"a": 1})
    for revoke in (manager.revoke_user_sessions, manager.revoke_agent_sessions):
        await _hear(cached)
        await _read_twice(cached, raw, session)
        job_id = await revoke("ann" if revoke == manager.revoke_user_sessions else "bot", grace=3_600)
        await _hear(cached)
        assert await cached.get_session(session.session_id) is None
        await manager.jobs.control(job_id, "undo")
        await manager.jobs.run(job_id)
        assert await cached.get_session(session.session_id) == session


async def test_a_change_of_another_process_is_seen(
    open_tracking: Any, manager: SessionManager, settings: Settings, raw: redis.Redis
) -> None:
    cached = await open_tracking()
    session = await manager.create_session("ann", "bot", {"a": 1})
    await _hear(cached)
    await _read_twice(cached, raw, session)
    program = f"""
import asyncio, json
from manager import SessionManager

async def change():
    async with SessionManager.from_settings() as manager:
        return await manager.update_session_metadata({session.session_id!r}, {{"b": 2}})

print(json.dumps(asyncio.run(change())))
"""
    changes = {"redis_url": settings.redis_url, "namespace": settings.namespace}
    assert await asyncio.to_thread(run_program, program, **changes) is True
    await _hear(cached)
    found = await cached.get_session(session.session_id)
    assert found is not None
    assert found.metadata == {"a": 1, "b": 2}


async def test_new_sessions_of_the_same_user_and_agent_leave_copies_alone(
    open_tracking: Any, manager: SessionManager, raw: redis.Redis
) -> None:
    cached = await open_tracking()
    session = await manager.create_session("ann", "bot")
    await _hear(cached)
    await _read_twice(cached, raw, session)
    await create_sessions(manager, 20)
    await manager.save_checkpoint(session.session_id, {"turn": 1})
    await _hear(cached)
    await _read_twice(cached, raw, session)


@pytest.mark.parametrize("change", ["merged", "deleted", "user revoked", "agent revoked"])
async def test_a_read_under_way_while_word_of_a_change_comes_is_not_remembered(
    open_tracking: Any, manager: SessionManager, server: RedisServer, raw: redis.Redis, change: str
) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1})
    async with Proxy(server.port) as proxy:
        cached = await open_tracking(redis_url=proxy.url())
        proxy.hold_reply_of_call(proxy.calls + 1)
        before = script_calls(raw)
        reading = asyncio.create_task(cached.get_session(session.session_id))
        await wait_until(lambda: script_calls(raw) > before, description="it was read")
        await _change(manager, session, change)
        await _hear(cached)
        assert not reading.done()
        proxy.release_replies()
        assert await reading == session  # which was the state when it was read
        assert await cached.get_session(session.session_id) == await manager.get_session(session.session_id)
        await cached.aclose()


async def test_when_the_connection_is_cut_the_cache_is_empty_and_soon_right_again(
    open_tracking: Any, manager: SessionManager, server: RedisServer, raw: redis.Redis
) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1})
    async with Proxy(server.port) as proxy:
        cached = await open_tracking(redis_url=proxy.url())
        await _read_twice(cached, raw, session)
        proxy.refuse_connections()
        proxy.cut_connections()
        await manager.update_session_metadata(session.session_id, {"b": 2})
        await wait_until(lambda: _lease(cached) is None, description="it was noticed")
        assert not cached._context.reader._copies
        await cached.aclose()


async def test_what_changed_while_the_connection_was_away_is_seen(
    open_tracking: Any, manager: SessionManager, server: RedisServer, raw: redis.Redis
) -> None:
    session = await manager.create_session("ann", "bot", {"a": 0})
    async with Proxy(server.port) as proxy:
        cached = await open_tracking(redis_url=proxy.url())
        for turn in range(1, 6):
            await cached.get_session(session.session_id)
            proxy.cut_connections()
            await manager.update_session_metadata(session.session_id, {"a": turn})
            await _hear(cached)
            found = await cached.get_session(session.session_id)
            assert found is not None
            assert found.metadata == {"a": turn}
            await _read_twice(cached, raw, found)
        await cached.aclose()


@pytest.mark.parametrize("kind", ["valkey", "redis7", "redis6"])
async def test_it_works_on_each_server_and_after_its_restart(kind: str) -> None:
    with RedisServer(kind, keeps_data=True) as server:
        settings = Settings(redis_url=server.url(), namespace="tracked")
        cached = CachedSessionManager(
            redis.Redis(port=server.port), max_staleness=_LEASE_SECONDS, settings=settings
        )
        async with cached, SessionManager.from_settings(settings) as manager:
            session = await manager.create_session("ann", "bot")
            await cached.get_session(session.session_id)
            await _hear(cached)
            for turn in range(3):
                await cached.get_session(session.session_id)
                assert cached._context.reader._copies
                if turn == 1:
                    await asyncio.to_thread(server.restart)
                await manager.update_session_metadata(session.session_id, {"turn": turn})
                await _hear(cached)
                found = await cached.get_session(session.session_id)
                assert found is not None
                assert found.metadata == {"turn": turn}


async def test_when_everything_is_flushed_the_cache_is_empty() -> None:
    with RedisServer() as server, server.client() as raw:
        settings = Settings(redis_url=server.url(), namespace="tracked")
        cached = CachedSessionManager(raw, max_staleness=_LEASE_SECONDS, settings=settings)
        async with cached:
            session = await cached.create_session("ann", "bot")
            await cached.get_session(session.session_id)
            await _hear(cached)
            await _read_twice(cached, raw, session)
            raw.flushall()
            await _hear(cached)
            assert await cached.get_session(session.session_id) is None


@pytest.fixture
def without_the_right() -> Iterator[RedisServer]:
    """A server on which `app` may do everything but what has changes told."""
    with RedisServer() as server, server.client() as client:
        client.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-client")
        yield server


async def test_without_the_right_to_track_staleness_is_bounded(
    without_the_right: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    port = without_the_right.port
    settings = Settings(redis_url=f"redis://app:secret@127.0.0.1:{port}/0", namespace="tracked")
    conn = redis.Redis.from_url(settings.redis_url)
    cached = CachedSessionManager(conn, max_staleness=0.3, settings=settings)
    async with cached, SessionManager.from_settings(settings) as manager:
        session = await manager.create_session("ann", "bot", {"a": 1})
        with without_the_right.client() as raw:
            await cached.get_session(session.session_id)
            await wait_until(lambda: "no client tracking" in caplog.text, description="it was said")
            assert "permission" in caplog.text
            assert "secret" not in caplog.text
            await wait_until(
                lambda: _is_read_from_memory(cached, raw, session), description="a second read from memory"
            )
        await manager.update_session_metadata(session.session_id, {"b": 2})
        await asyncio.sleep(0.31)
        found = await cached.get_session(session.session_id)
        assert found is not None
        assert found.metadata == {"a": 1, "b": 2}
    assert caplog.text.count("no client tracking") == 1


async def test_a_silent_connection_ends_the_use_of_copies_in_time(
    open_manager: Opener, manager: SessionManager, server: RedisServer
) -> None:
    """The way of the server's word is held up; that of reads is not."""
    session = await manager.create_session("ann", "bot", {"a": 1})
    async with Proxy(server.port) as proxy:
        cached = open_manager(CachedSessionManager, arguments={"max_staleness": 0.3})
        assert isinstance(cached, CachedSessionManager)
        cached._context.reader._conn = redis.Redis.from_url(proxy.url())  # for its word only
        await cached.get_session(session.session_id)
        await wait_until(cached.is_tracking_active, description="a ping was answered")

        async def is_kept_for_long() -> bool:
            cached._context.reader._copies.clear()
            await cached.get_session(session.session_id)
            return cached._context.reader._copies[session.session_id].stale_at > time.monotonic() + 50

        await wait_until(is_kept_for_long, description="a read while the word of changes is fresh")
        proxy.hold_everything()
        await manager.update_session_metadata(session.session_id, {"b": 2})
        await asyncio.sleep(0.31)
        found = await cached.get_session(session.session_id)
        assert found is not None
        assert found.metadata == {"a": 1, "b": 2}
        await cached.aclose()


async def test_copies_of_sessions_whose_users_have_keys_are_used_for_max_staleness_only(
    open_manager: Opener, server: RedisServer
) -> None:
    def longest(**changes: Any) -> float:
        cached = open_manager(CachedSessionManager, arguments={"max_staleness": 0.3}, **changes)
        assert isinstance(cached, CachedSessionManager)
        return cached._context.reader._longest_use

    ring = json.dumps({"k1": "A" * 43 + "="})
    assert longest(encryption_keys=ring) == 60
    assert longest(encryption_keys=ring, user_keys_url=server.url(db=3)) == 0.3


async def test_a_copy_is_read_again_in_the_long_run(
    open_tracking: Any, manager: SessionManager, raw: redis.Redis
) -> None:
    """For what no message tells: here, somebody has taken the session out of its index."""
    cached = await open_tracking()
    session, _ = await create_sessions(manager, 2)
    await _hear(cached)
    cached._context.reader._longest_use = 0.2
    await cached.get_session(session.session_id)
    index = manager._context.partitions.of_session(session.session_id).user_index("ann")
    score = raw.zscore(index, session.session_id)
    raw.zrem(index, session.session_id)

    async def is_gone() -> bool:
        return await cached.get_session(session.session_id) is None

    await wait_until(is_gone, description="the copy was not used any longer")
    raw.zadd(index, {session.session_id: score})


async def test_the_cache_stays_bounded_and_expired_sessions_are_gone(
    open_tracking: Any, manager: SessionManager
) -> None:
    cached = await open_tracking(size=3)
    sessions = await create_sessions(manager, 50)
    ids = [each.session_id for each in sessions]
    await asyncio.gather(*map(cached.get_session, ids), cached.get_sessions(ids))
    assert len(cached._context.reader._copies) <= 3
    assert cached._context.reader._readings == {}
    await let_expire(manager, sessions[-1])
    await _hear(cached)
    assert await cached.get_session(ids[-1]) is None


async def test_each_event_loop_listens_and_leaves_nothing_behind(
    settings: Settings, server: RedisServer
) -> None:
    conn = redis.Redis.from_url(settings.redis_url, client_name=settings.namespace)
    cached = CachedSessionManager(conn, max_staleness=_LEASE_SECONDS, settings=settings)

    def connections() -> int:
        with server.client() as raw:
            return sum(each["name"] == settings.namespace for each in raw.client_list())

    async def use() -> int:
        session = await cached.create_session("ann", "bot")
        await cached.get_session(session.session_id)
        await _hear(cached)
        assert cached.is_tracking_active()
        with server.client() as raw:
            await _read_twice(cached, raw, session)
        return connections()

    assert not cached.is_tracking_active()
    for _ in range(2):
        assert await asyncio.to_thread(asyncio.run, use()) == 2
        await wait_until(lambda: connections() == 0, description="both were closed")
    assert not cached._context.reader._copies


async def test_batches_read_from_memory_what_is_there(
    open_tracking: Any, manager: SessionManager, raw: redis.Redis
) -> None:
    cached = await open_tracking()
    sessions = await create_sessions(manager, 3)
    await _hear(cached)
    ids = [each.session_id for each in sessions]
    assert await cached.get_sessions(ids) == sessions
    before = script_calls(raw)
    assert await cached.get_sessions(ids) == sessions
    assert script_calls(raw) == before
    await manager.delete_session(ids[1])
    await _hear(cached)
    before = script_calls(raw)
    assert await cached.get_sessions([ids[2], ids[1], "sess_unknown", ids[0]]) == [
        sessions[2], None, None, sessions[0],
    ]  # fmt: skip
    assert script_calls(raw) == before + 1


async def test_bad_ids_in_a_batch_are_errors_in_their_place(open_tracking: Any) -> None:
    cached = await open_tracking()
    session = await cached.create_session("ann", "bot")
    for _ in range(2):
        found = await cached.get_sessions(["", session.session_id, [1], None, session.session_id])
        assert found[1] == found[4] == session
        assert found[1] is not found[4]
        assert all(isinstance(found[place], InvalidArgumentError) for place in (0, 2, 3))
