"""A session that is not live is absent everywhere, for every read and every write, whatever made it so."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from agent_runtime.manager import InvalidArgumentError, Session, SessionManager, SessionNotFoundError
from tests.support.keyspace import snapshot
from tests.support.leftovers import remove_namespace
from tests.support.sessions import let_expire

End = Callable[[SessionManager, Session, redis.Redis], Awaitable[None]]


async def _expire(manager: SessionManager, session: Session, raw: redis.Redis) -> None:
    await let_expire(manager, session)


async def _pass_its_end(manager: SessionManager, session: Session, raw: redis.Redis) -> None:
    """Redis has not dropped it yet, which it may do late."""
    raw.hset(f"{manager.settings.namespace}:{{0}}:s:{session.session_id}", "expires", raw.time()[0] * 1000)


async def _revoke_user(manager: SessionManager, session: Session, raw: redis.Redis) -> None:
    await manager.revoke_user_sessions(session.user_id)


async def _revoke_agent(manager: SessionManager, session: Session, raw: redis.Redis) -> None:
    await manager.revoke_agent_sessions(session.agent_id)


async def _drop_from_user_index(manager: SessionManager, session: Session, raw: redis.Redis) -> None:
    raw.delete(f"{manager.settings.namespace}:{{0}}:u:{session.user_id}")


async def _drop_from_agent_index(manager: SessionManager, session: Session, raw: redis.Redis) -> None:
    raw.zrem(f"{manager.settings.namespace}:{{0}}:a:{session.agent_id}", session.session_id)


async def _delete(manager: SessionManager, session: Session, raw: redis.Redis) -> None:
    assert await manager.delete_session(session.session_id)


async def _reclaim(manager: SessionManager, session: Session, raw: redis.Redis) -> None:
    assert await manager.delete_agent_sessions(session.agent_id) == 1


ENDS = [
    _expire,
    _pass_its_end,
    _revoke_user,
    _revoke_agent,
    _drop_from_user_index,
    _drop_from_agent_index,
    _delete,
    _reclaim,
]

ON_ONE_SESSION: list[tuple[str, tuple[Any, ...], Any]] = [
    ("get_session", (), None),
    ("session_exists", (), False),
    ("update_session", (), False),
    ("update_session_metadata", ({"a": 1},), False),
    ("refresh_session", (), False),
    ("delete_session", (), False),
    ("get_checkpoint", ("<checkpoint>",), None),
    ("get_latest_checkpoint", (), None),
    ("list_checkpoints", (), []),
    ("delete_checkpoint", ("<checkpoint>",), False),
    ("clear_checkpoints", (), 0),
    ("prune_checkpoints", (None, 0), 0),
    ("pin_checkpoint", ("<checkpoint>",), False),
    ("unpin_checkpoint", ("<checkpoint>",), False),
    ("pinned_checkpoints", (), []),
]

#: Methods that take the id of a session, and are called by name below.
_OTHERS = {
    "create_session",
    "create_sessions",
    "delete_sessions",
    "get_sessions",
    "save_checkpoint",
    "save_checkpoints",
    "update_session",
}


def test_every_method_that_takes_the_id_of_a_session_is_tried() -> None:
    named = {
        name
        for name, method in inspect.getmembers(SessionManager, inspect.isfunction)
        if {"session_id", "session_ids", "sessions", "checkpoints"} & {*inspect.signature(method).parameters}
    }
    assert named == {name for name, _, _ in ON_ONE_SESSION} | _OTHERS


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__.strip("_"))
async def test_a_session_that_ended_is_absent_everywhere(
    manager: SessionManager, raw: redis.Redis, end: End
) -> None:
    session = await manager.create_session("ann", "bot", {"a": 0})
    checkpoint_ids = [await manager.save_checkpoint(session.session_id, {"turn": turn}) for turn in range(3)]
    await end(manager, session, raw)
    before = _own_keys(raw, manager, session)

    for method, arguments, answer in ON_ONE_SESSION:
        real = [checkpoint_ids[0] if value == "<checkpoint>" else value for value in arguments]
        assert await getattr(manager, method)(session.session_id, *real) == answer, method
    for changes in ({"metadata": {}}, {"agent_id": "other"}, {"expires_at": session.expires_at}):
        assert await manager.update_session(session.session_id, **changes) is False
    with pytest.raises(SessionNotFoundError, match=session.session_id):
        await manager.save_checkpoint(session.session_id, {"turn": 9})
    [refused] = await manager.save_checkpoints([{"session_id": session.session_id, "data": {}}])
    assert isinstance(refused, SessionNotFoundError)
    assert await manager.get_sessions([session.session_id]) == [None]
    assert await manager.delete_sessions([session.session_id]) == [False]

    assert await manager.get_sessions_by_user("ann") == []
    assert await manager.get_sessions_by_agent("bot") == []
    assert [each async for each in manager.iter_sessions_by_user("ann")] == []
    assert [each async for each in manager.iter_sessions_by_agent("bot")] == []
    assert _own_keys(raw, manager, session) == before
    if end in (_drop_from_user_index, _drop_from_agent_index):
        remove_namespace(raw, manager.settings.namespace)  # no operation of ours does this; nor is it tidy


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__.strip("_"))
async def test_a_session_with_the_id_of_one_that_ended_is_new_or_refused(
    manager: SessionManager, raw: redis.Redis, end: End
) -> None:
    old = await manager.create_session("ann", "bot", {"secret": "old"})
    await manager.save_checkpoint(old.session_id, {"secret": "old"})
    await end(manager, old, raw)
    is_gone = not raw.exists(f"{manager.settings.namespace}:{{0}}:s:{old.session_id}")
    before = _own_keys(raw, manager, old)

    async def create() -> Session:
        return await manager.create_session("ann", "bot", {"new": 1}, session_id=old.session_id)

    wanted = {"user_id": "ann", "agent_id": "bot", "metadata": {"new": 1}, "session_id": old.session_id}
    if is_gone:
        created = await create()
        assert (created.metadata, created.created_at > old.created_at) == ({"new": 1}, True)
        assert (
            await manager.create_sessions([wanted])
            == [created]
            == [await manager.get_session(old.session_id)]
        )
        assert await manager.get_latest_checkpoint(old.session_id) is None
    else:
        with pytest.raises(InvalidArgumentError, match="new_session_id"):
            await create()
        [refused] = await manager.create_sessions([wanted])
        assert isinstance(refused, InvalidArgumentError)
        assert "old" not in str(refused)
        assert _own_keys(raw, manager, old) == before
    if end in (_drop_from_user_index, _drop_from_agent_index):
        remove_namespace(raw, manager.settings.namespace)


@pytest.mark.parametrize("end", [_expire, _revoke_user, _revoke_agent, _delete, _reclaim])
async def test_a_session_that_ended_is_never_counted(
    manager: SessionManager, raw: redis.Redis, end: End
) -> None:
    session = await manager.create_session("ann", "bot")
    await manager.create_session("bob", "other")
    await end(manager, session, raw)
    assert await manager.get_active_session_count("ann") == 0
    assert await manager.get_active_session_count("bob") == 1
    assert await manager.get_active_session_count() == 1


@pytest.mark.parametrize("end", [_revoke_user, _revoke_agent])
async def test_bulk_pruning_leaves_revoked_sessions_alone(
    manager: SessionManager, raw: redis.Redis, end: End
) -> None:
    revoked, live = [
        await manager.create_session(user, agent) for user, agent in (("ann", "bot"), ("bob", "other"))
    ]
    for session in (revoked, live):
        for turn in range(3):
            await manager.save_checkpoint(session.session_id, {"turn": turn})
    await end(manager, revoked, raw)
    assert await manager.prune_checkpoints(keep_last=1) == 2
    assert await manager.prune_checkpoints(agent_id="bot", keep_last=1) == 0


def _own_keys(raw: redis.Redis, manager: SessionManager, session: Session) -> dict[bytes, bytes | None]:
    """What lies in Redis of this session alone."""
    everything = snapshot(raw, manager.settings.namespace)
    return {
        key: value
        for key, value in everything.items()
        if key.split(b":")[2] in (b"s", b"c", b"o", b"u", b"a", b"x", b"revoked")
    }
