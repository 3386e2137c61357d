"""Whatever removes a conversation, its text does not stay in the memory of the process that did."""

import asyncio
import inspect
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import redis

from agent_runtime.manager import (
    CachedSessionManager,
    InvalidArgumentError,
    Session,
    SessionManager,
    SessionNotFoundError,
)
from tests.support.clients import client_for
from tests.support.memory import holds
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.sessions import let_expire
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]


class Place(NamedTuple):
    """A process that knows a conversation, and another one."""

    manager: SessionManager
    other: SessionManager
    session: Session
    checkpoint_id: str
    #: Of what was said.
    secret: str

    @property
    def name(self) -> str:
        return self.session.session_id


def _state(secret: str, turns: int = 12) -> dict[str, Any]:
    history = [
        f"{turn}: {secret} and so on, for as long as it takes to be cut. " * 20 for turn in range(turns)
    ]
    return {"history": history}


@pytest.fixture
async def place(manager: SessionManager, open_manager: Opener) -> Place:
    secret = secrets.token_hex(12)
    session = await manager.create_session("ann", "bot")
    checkpoint_id = await manager.save_checkpoint(session.session_id, _state(secret))
    assert await manager.get_latest_checkpoint(session.session_id)
    assert holds(manager, secret), "this test would find nothing"
    return Place(manager, open_manager(), session, checkpoint_id, secret)


async def _prune(place: Place, **which: Any) -> None:
    """Removes the checkpoint that the process knows, which another is newer than."""
    await place.other.save_checkpoint(place.name, {"turn": 2})
    assert await place.manager.prune_checkpoints(keep_last=1, **which) == 1


async def _open_deletion(place: Place) -> None:
    await place.manager.jobs.open(place.manager.jobs.user_deletion("ann"))


async def _sweep(place: Place) -> None:
    await let_expire(place.other, place.session)
    assert await place.manager.cleanup_expired_sessions() == 1


#: Calls that remove conversations, or some of one. (The text of what a user's key encrypts is never kept.)
REMOVALS: dict[str, Callable[[Place], Awaitable[Any]]] = {
    "delete_session": lambda p: p.manager.delete_session(p.name),
    "delete_sessions": lambda p: p.manager.delete_sessions([p.name]),
    "delete_user_sessions": lambda p: p.manager.delete_user_sessions("ann"),
    "delete_agent_sessions": lambda p: p.manager.delete_agent_sessions("bot"),
    "revoke_user_sessions": lambda p: p.manager.revoke_user_sessions("ann"),
    "revoke_agent_sessions": lambda p: p.manager.revoke_agent_sessions("bot"),
    "jobs": _open_deletion,
    "clear_checkpoints": lambda p: p.manager.clear_checkpoints(p.name),
    "delete_checkpoint": lambda p: p.manager.delete_checkpoint(p.name, p.checkpoint_id),
    "prune_checkpoints": _prune,
    "prune_checkpoints of a session": lambda p: _prune(p, session_id=p.name),
    "prune_checkpoints of an agent": lambda p: _prune(p, agent_id="bot"),
    "cleanup_expired_sessions": _sweep,
}


async def _save(place: Place) -> None:
    with pytest.raises(SessionNotFoundError):
        await place.manager.save_checkpoint(place.name, _state("something else"))


#: Calls that find out that a session is gone.
FINDS: dict[str, Callable[[Place], Awaitable[Any]]] = {
    "get_session": lambda p: p.manager.get_session(p.name),
    "get_sessions": lambda p: p.manager.get_sessions([p.name, "sess_other"]),
    "session_exists": lambda p: p.manager.session_exists(p.name),
    "update_session": lambda p: p.manager.update_session(p.name, metadata={}),
    "update_session_metadata": lambda p: p.manager.update_session_metadata(p.name, {"a": 1}),
    "refresh_session": lambda p: p.manager.refresh_session(p.name),
    "save_checkpoint": _save,
    "save_checkpoints": lambda p: p.manager.save_checkpoints([{"session_id": p.name, "data": {}}]),
    "get_latest_checkpoint": lambda p: p.manager.get_latest_checkpoint(p.name),
    "list_checkpoints": lambda p: p.manager.list_checkpoints(p.name),
}

#: Calls that remove nothing and say nothing of one session, or not whether it is there.
OTHERS = {
    "aclose", "create_session", "create_sessions", "erase_user_key", "from_settings",
    "get_active_session_count", "get_checkpoint", "get_sessions_by_agent", "get_sessions_by_user",
    "iter_sessions_by_agent", "iter_sessions_by_user", "pin_checkpoint", "pinned_checkpoints", "scrub",
    "unpin_checkpoint",
}  # fmt: skip


def test_every_method_is_told_apart() -> None:
    methods = {name for name, _ in inspect.getmembers(SessionManager, callable) if name[0] != "_"}
    removals = {name.partition(" ")[0] for name in REMOVALS} - {"jobs"}
    assert methods == removals | FINDS.keys() | OTHERS
    assert len(methods) == len(removals) + len(FINDS) + len(OTHERS), "each once"


@pytest.mark.parametrize("call", REMOVALS)
async def test_what_a_process_removes_does_not_stay_in_its_memory(place: Place, call: str) -> None:
    await REMOVALS[call](place)
    assert not holds(place.manager, place.secret)


@pytest.mark.parametrize("call", FINDS)
async def test_what_a_process_finds_gone_does_not_stay_in_its_memory(place: Place, call: str) -> None:
    await place.other.delete_session(place.name)
    await FINDS[call](place)
    assert not holds(place.manager, place.secret)


@pytest.mark.parametrize("call", ["delete_sessions", "revoke_user_sessions", "delete_checkpoint"])
async def test_what_was_not_removed_stays(place: Place, call: str) -> None:
    bystander, said = await place.manager.create_session("bob", "bot"), secrets.token_hex(12)
    await place.manager.save_checkpoint(bystander.session_id, _state(said))
    await REMOVALS[call](place)
    assert holds(place.manager, said)
    assert not holds(place.manager, place.secret)


@pytest.mark.parametrize("call", ["delete_checkpoint", "prune_checkpoints", "delete_agent_sessions"])
async def test_what_is_left_is_not_stored_again(
    open_manager: Opener, manager: SessionManager, raw: redis.Redis, call: str
) -> None:
    """Of texts that are dropped though they may be in Redis still, a process remembers the hash."""
    session = await manager.create_session("ann", "helper" if call == "delete_agent_sessions" else "bot")
    first = await manager.save_checkpoint(session.session_id, _state("said", 6))
    await manager.save_checkpoint(session.session_id, _state("said", 9))
    place = Place(manager, open_manager(), session, first, "")
    if call == "prune_checkpoints":
        assert await manager.prune_checkpoints(keep_last=1) == 1
    else:
        await REMOVALS[call](place)
    key = manager._context.partitions.home.checkpoints(session.session_id)
    before = raw.hlen(key)
    await manager.save_checkpoint(session.session_id, _state("said", 9))
    assert raw.hlen(key) == before + 1  # the recipe, and no chunk


@pytest.mark.parametrize("turn", ["read", "save"])
@pytest.mark.parametrize("call", ["delete_session", "delete_user_sessions", "delete_agent_sessions"])
async def test_a_call_under_way_while_its_session_is_removed_leaves_nothing(
    open_manager: Opener, manager: SessionManager, server: RedisServer, turn: str, call: str
) -> None:
    secret, session = secrets.token_hex(12), await manager.create_session("ann", "bot")
    state = _state(secret)
    checkpoint_id = await manager.save_checkpoint(session.session_id, state)
    async with Proxy(server.port) as proxy:
        # On one connection, the removal would wait behind the call.
        slow = open_manager(conn=client_for("pooled", proxy.url()))
        await slow.get_latest_checkpoint("sess_unknown")  # the server knows the scripts
        await slow.save_checkpoints([{"session_id": "sess_unknown", "data": {}}])
        calls = proxy.calls
        proxy.hold_reply_of_call(calls + 1)
        under_way = asyncio.create_task(
            slow.get_latest_checkpoint(session.session_id)
            if turn == "read"
            else slow.save_checkpoint(session.session_id, state)
        )
        await wait_until(lambda: proxy.calls > calls, description="the call was sent")
        await REMOVALS[call](Place(slow, manager, session, checkpoint_id, secret))
        assert not under_way.done()
        proxy.release_replies()
        assert await under_way
        assert not holds(slow._context, secret)
        await slow.aclose()


async def test_a_cache_forgets_the_texts_of_a_user_whom_another_process_revokes(
    open_manager: Opener, manager: SessionManager
) -> None:
    cached = open_manager(CachedSessionManager, arguments={"max_staleness": 600})
    assert isinstance(cached, CachedSessionManager)
    secret, session = secrets.token_hex(12), await cached.create_session("ann", "bot")
    await cached.save_checkpoint(session.session_id, _state(secret))
    await cached.get_session(session.session_id)
    await wait_until(cached.is_tracking_active, description="the server tells of changes")
    assert holds(cached._context, secret)
    await manager.revoke_user_sessions("ann")
    await wait_until(lambda: not holds(cached._context, secret), description="the texts are gone")


async def test_an_id_that_is_not_acceptable_removes_nothing(place: Place) -> None:
    for call in (place.manager.delete_session, place.manager.delete_user_sessions):
        with pytest.raises(InvalidArgumentError):
            await call("")
    assert holds(place.manager, place.secret)
