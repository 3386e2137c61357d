"""The server answers with an error: nothing is applied, and nothing is half-written."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

from agent_runtime.manager import Session, SessionManager, StoreRefusedError, StoreUnavailableError
from tests.support.keyspace import snapshot
from tests.support.redis_server import RedisServer
from tests.support.sessions import let_expire, save_turns, turns
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]
Write = Callable[[SessionManager, Session], Awaitable[Any]]

WRITES: dict[str, Write] = {
    "create": lambda m, s: m.create_session("bob", "bot", {"a": 1}),
    "create, big": lambda m, s: m.create_session("bob", "bot", {f"k{n}": n for n in range(3000)}),
    "merge": lambda m, s: m.update_session_metadata(s.session_id, {"b": 2}),
    "lengthen": lambda m, s: m.update_session(s.session_id, expires_at=s.expires_at + timedelta(hours=1)),
    "refresh": lambda m, s: m.refresh_session(s.session_id),
    "save": lambda m, s: m.save_checkpoint(s.session_id, {"turn": 9}),
}

#: Changes that a full server applies whole: it lets a script go on that has removed something first.
CHANGES: dict[str, dict[str, Any]] = {
    "replace metadata": {"metadata": {"b": 2}},
    "replace by nothing": {"metadata": {}},
    "move": {"agent_id": "other"},
    "everything": {"metadata": {"b": 2}, "agent_id": "other"},
}


@pytest.fixture
def behind(breakable: RedisServer) -> Iterator[redis.Redis]:
    with breakable.client() as client:
        yield client


@pytest.fixture
async def session(fragile: SessionManager) -> Session:
    session = await fragile.create_session("ann", "bot", {"a": 1})
    await save_turns(fragile, session.session_id, 3)
    return session


def _be_full(behind: redis.Redis) -> None:
    behind.config_set("maxmemory-policy", "noeviction")
    behind.config_set("maxmemory", int(behind.info("memory")["used_memory"]) // 2)


@pytest.mark.parametrize("name", WRITES)
async def test_a_full_server_refuses_writes_whole(
    fragile: SessionManager, behind: redis.Redis, session: Session, namespace: str, name: str
) -> None:
    before = snapshot(behind, namespace)
    _be_full(behind)
    with pytest.raises(StoreRefusedError, match=r"(?i)OOM|maxmemory"):
        await WRITES[name](fragile, session)
    assert snapshot(behind, namespace) == before
    behind.config_set("maxmemory", 0)
    assert await WRITES[name](fragile, session)


@pytest.mark.parametrize("name", CHANGES)
async def test_a_full_server_takes_changes_that_remove_something_first_whole(
    fragile: SessionManager, behind: redis.Redis, session: Session, name: str
) -> None:
    _be_full(behind)
    assert await fragile.update_session(session.session_id, **CHANGES[name]) is True
    changed = session.model_copy(update=CHANGES[name])
    assert await fragile.get_session(session.session_id) == changed
    assert await fragile.get_sessions_by_agent(changed.agent_id) == [changed]


async def test_a_full_server_can_be_read_and_emptied(
    fragile: SessionManager, behind: redis.Redis, session: Session
) -> None:
    _be_full(behind)
    assert await fragile.get_session(session.session_id) == session
    assert await turns(fragile, session.session_id) == [0, 1, 2]
    assert await fragile.get_active_session_count() == 1
    [first, *_] = await fragile.list_checkpoints(session.session_id)
    assert await fragile.delete_checkpoint(session.session_id, first["checkpoint_id"]) is True
    assert await fragile.clear_checkpoints(session.session_id) == 2
    assert await fragile.delete_session(session.session_id) is True


@pytest.mark.parametrize("kind", ["user", "agent", "pruning", "pruning of a session", "sweep"])
async def test_bulk_work_frees_a_full_server(
    fragile: SessionManager, behind: redis.Redis, session: Session, kind: str
) -> None:
    work: dict[str, tuple[Callable[[], Awaitable[int]], int]] = {
        "user": (lambda: fragile.delete_user_sessions("ann"), 1),
        "agent": (lambda: fragile.delete_agent_sessions("bot"), 1),
        "pruning": (lambda: fragile.prune_checkpoints(keep_last=1), 2),
        "pruning of a session": (lambda: fragile.prune_checkpoints(session.session_id, keep_last=2), 1),
        "sweep": (fragile.cleanup_expired_sessions, 1),
    }
    if kind == "sweep":
        await let_expire(fragile, session)
    _be_full(behind)
    do, removed = work[kind]
    assert await do() == removed
    assert await do() == 0


@pytest.mark.parametrize("kind", ["agent", "pruning", "sweep"])
async def test_bulk_work_over_partitions_frees_a_full_server(
    open_manager: Opener, breakable: RedisServer, behind: redis.Redis, kind: str
) -> None:
    manager = open_manager(redis_url=breakable.url(), partitions=4)
    sessions = [await manager.create_session(f"user_{number}", "bot") for number in range(8)]
    for session in sessions:
        await save_turns(manager, session.session_id, 2)
    if kind == "sweep":
        await let_expire(manager, *sessions)
    _be_full(behind)
    delete = {
        "agent": lambda: manager.delete_agent_sessions("bot"),
        "pruning": lambda: manager.prune_checkpoints(keep_last=1),
        "sweep": manager.cleanup_expired_sessions,
    }[kind]
    assert await delete() == 8


@pytest.mark.parametrize("action", ["pause", "cancel", "undo"])
async def test_jobs_on_a_full_server_are_requeued_and_do_as_they_are_told(
    open_manager: Opener, breakable: RedisServer, behind: redis.Redis, action: str
) -> None:
    manager = open_manager(redis_url=breakable.url(), partitions=4, stalled_after_seconds=0.001)
    for number in range(8):
        await manager.create_session(f"user_{number}", "bot")
    _be_full(behind)
    job_id = await manager.revoke_agent_sessions("bot")
    await wait_until(manager.jobs.take_stalled, description="the job to count as stalled")
    await manager.jobs.control(job_id, action)
    if action == "undo":
        assert (await manager.jobs.run(job_id)).restored == 8
    else:
        await manager.jobs.control(job_id, "resume")
        assert (await manager.jobs.run(job_id)).removed == 8


@pytest.mark.parametrize("name", ["create", "merge", "save"])
async def test_a_read_only_replica_refuses_writes(
    impatient: SessionManager, behind: redis.Redis, session: Session, namespace: str, name: str
) -> None:
    before = snapshot(behind, namespace)
    behind.replicaof("127.0.0.1", 1)
    with pytest.raises(StoreUnavailableError, match=r"(?i)does not serve writes: .*replica"):
        await WRITES[name](impatient, session)
    behind.replicaof("NO", "ONE")
    assert snapshot(behind, namespace) == before


@pytest.mark.parametrize("given", [None, "wrong"])
async def test_a_wrong_password_is_refused_at_the_first_try(
    open_manager: Opener, breakable: RedisServer, behind: redis.Redis, given: str | None
) -> None:
    behind.config_set("requirepass", "right")
    before = int(behind.info("stats")["total_connections_received"])
    manager = open_manager(conn=redis.Redis(host="127.0.0.1", port=breakable.port, password=given))
    with pytest.raises(StoreRefusedError):
        await manager.create_session("ann", "bot")
    assert int(behind.info("stats")["total_connections_received"]) - before == 1
    right = open_manager(conn=redis.Redis(host="127.0.0.1", port=breakable.port, password="right"))
    assert await right.get_active_session_count() == 0
    behind.config_set("requirepass", "")


async def test_too_many_clients_is_said_as_unavailable_and_gets_better(
    open_manager: Opener, breakable: RedisServer, behind: redis.Redis
) -> None:
    behind.ping()
    behind.config_set("maxclients", 1)
    manager = open_manager(redis_url=breakable.url())
    with pytest.raises(ConnectionError):
        await manager.create_session("ann", "bot")
    behind.config_set("maxclients", 100)
    assert await manager.create_session("ann", "bot")


async def test_refused_calls_leave_the_connection_in_order(
    fragile: SessionManager, behind: redis.Redis, session: Session
) -> None:
    _be_full(behind)
    calls = []
    for _ in range(50):
        calls += [fragile.create_session("bob", "bot"), fragile.get_session(session.session_id)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers[::2]} == {StoreRefusedError}
    assert answers[1::2] == [session] * 50
