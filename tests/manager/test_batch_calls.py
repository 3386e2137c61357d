"""Calls for many sessions at once: each entry for itself, in the order of the input."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import redis

from agent_runtime.manager import (
    AgentSessionsError,
    CachedSessionManager,
    CorruptDataError,
    InvalidArgumentError,
    Session,
    SessionLimitError,
    SessionManager,
    SessionNotFoundError,
    StoreOutcomeUnknownError,
    StoreUnavailableError,
    new_session_id,
)
from agent_runtime.manager.errors import DecryptionError
from tests.support.clients import ENGINES, client_for
from tests.support.encryption import key_ring
from tests.support.keyspace import script_calls
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer, free_port
from tests.support.sessions import create_sessions, let_expire, turns

Opener = Callable[..., SessionManager]

#: More than are on their way at a time, and than one script reads.
_MANY = 600


def _new(count: int, **more: Any) -> list[Any]:
    return [{"user_id": f"user {number}", "agent_id": "bot", **more} for number in range(count)]


def _kinds(results: list[Any]) -> list[type]:
    return [type(each) for each in results]


async def _created(manager: SessionManager, count: int, **more: Any) -> list[Session]:
    sessions = await manager.create_sessions(_new(count, **more))
    assert all(isinstance(each, Session) for each in sessions), sessions
    return sessions  # type: ignore[return-value]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("changes", [{}, {"partitions": 5}])
async def test_many_are_created_read_and_deleted_in_the_order_of_the_input(
    open_manager: Opener, server: RedisServer, engine: str, changes: dict[str, Any]
) -> None:
    manager = open_manager(conn=client_for(engine, server.url()), **changes)
    sessions = await _created(manager, _MANY, metadata={"a": [1]})
    assert [each.user_id for each in sessions] == [f"user {number}" for number in range(_MANY)]
    ids = [each.session_id for each in sessions]
    assert await manager.get_sessions(ids) == sessions
    saved = await manager.save_checkpoints([{"session_id": each, "data": {"of": each}} for each in ids])
    for place in (0, 300, -1):
        found = await manager.get_latest_checkpoint(ids[place])
        assert found is not None
        assert (found["checkpoint_id"], found["data"]) == (saved[place], {"of": ids[place]})
    assert await manager.delete_sessions(ids[::2]) == [True] * (_MANY // 2)
    assert (
        await manager.get_sessions(ids[::-1])
        == [None if i % 2 == 0 else sessions[i] for i in range(_MANY)][::-1]
    )
    assert await manager.get_active_session_count() == _MANY // 2


async def test_nothing_asked_is_nothing_done(manager: SessionManager) -> None:
    assert await manager.create_sessions([]) == []
    assert await manager.get_sessions([]) == []
    assert await manager.delete_sessions(()) == []
    assert await manager.save_checkpoints(iter([])) == []


@pytest.mark.parametrize("wrong", ["sess_1", b"sess_1", {"a": 1}, None, 7])
async def test_what_is_no_list_is_refused(manager: SessionManager, wrong: Any) -> None:
    for method in (manager.create_sessions, manager.get_sessions, manager.delete_sessions):
        with pytest.raises(InvalidArgumentError, match="must be a list"):
            await method(wrong)
    with pytest.raises(InvalidArgumentError, match="checkpoints must be a list"):
        await manager.save_checkpoints(wrong)


async def test_what_is_wrong_with_one_entry_harms_no_other(manager: SessionManager) -> None:
    wrong: list[Any] = [
        {"user_id": "", "agent_id": "bot"}, {"user_id": "ann"}, {"agent_id": "bot"}, "ann", None, {},
        {"user_id": "ann", "agent_id": "bot", "metadata": {"a": float("nan")}},
        {"user_id": "ann", "agent_id": "bot", "ttl": 5}, {"user_id": "ann", "agent_id": "bot", 7: 8},
        {"user_id": "ann", "agent_id": "bot", "session_id": new_session_id("bob")},
    ]  # fmt: skip
    good = {"user_id": "ann", "agent_id": "bot"}
    answers = await manager.create_sessions([entry for each in wrong for entry in (good, each)])
    assert _kinds(answers[::2]) == [Session] * len(wrong)
    assert _kinds(answers[1::2]) == [InvalidArgumentError] * len(wrong)
    assert await manager.get_active_session_count() == len(wrong)

    name = answers[0].session_id  # type: ignore[union-attr]
    found = await manager.get_sessions([name, "", 5, name, "sess_unknown"])  # type: ignore[list-item]
    assert _kinds(found) == [Session, InvalidArgumentError, InvalidArgumentError, Session, type(None)]
    saved = await manager.save_checkpoints(
        [
            {"session_id": name, "data": {"turn": 0}},
            {"session_id": name, "data": {"turn": b"1"}},
            {"session_id": "sess_unknown", "data": {}},
            {"session_id": name},  # type: ignore[typeddict-item]
            {"session_id": name, "data": {"turn": 2}, "pin": True},
        ]
    )
    assert _kinds(saved) == [str, InvalidArgumentError, SessionNotFoundError, InvalidArgumentError, str]
    assert await turns(manager, name) == [0, 2]
    assert await manager.pinned_checkpoints(name) == [saved[-1]]
    deleted = await manager.delete_sessions(["", name, None, "sess_unknown"])  # type: ignore[list-item]
    assert (deleted[1], deleted[3]) == (True, False)
    assert _kinds(deleted[::2]) == [InvalidArgumentError] * 2


async def test_duplicates_are_done_one_after_the_other(manager: SessionManager) -> None:
    name = new_session_id("ann")
    entry: Any = {"user_id": "ann", "agent_id": "bot", "session_id": name}
    first, second = await manager.create_sessions([entry | {"metadata": {"a": 1}}, entry])
    assert first == second
    assert isinstance(second, Session)
    assert second.metadata == {"a": 1}
    saving: list[Any] = [{"session_id": name, "data": {"turn": turn}} for turn in range(300)]
    same: list[Any] = [{"session_id": name, "data": {"turn": t}, "checkpoint_id": "same"} for t in (300, 301)]
    assert (await manager.save_checkpoints(saving + same))[-2:] == ["same", "same"]
    assert await turns(manager, name) == list(range(301))
    one, other = await manager.get_sessions([name, name])
    assert one == other == first
    assert one is not other
    assert await manager.delete_sessions([name, "sess_unknown", name, name]) == [True, False, False, False]


async def test_the_cap_stops_those_for_which_there_is_no_room(open_manager: Opener) -> None:
    manager = open_manager(max_sessions=_MANY // 2)
    answers = await manager.create_sessions(_new(_MANY))
    kinds = _kinds(answers)
    assert (kinds.count(Session), kinds.count(SessionLimitError)) == (_MANY // 2, _MANY // 2)
    assert await manager.get_active_session_count() == _MANY // 2
    created = [each for each in answers if isinstance(each, Session)]
    assert await manager.get_sessions([each.session_id for each in created]) == created


async def test_what_expired_or_was_revoked_is_not_there(manager: SessionManager) -> None:
    sessions = [*await create_sessions(manager, 2), *await create_sessions(manager, 2, "bob", "helper")]
    ids = [each.session_id for each in sessions]
    await manager.revoke_user_sessions("ann")
    await let_expire(manager, sessions[2])
    assert await manager.get_sessions(ids) == [None, None, None, sessions[3]]
    saved = await manager.save_checkpoints([{"session_id": each, "data": {}} for each in ids])
    assert _kinds(saved) == [SessionNotFoundError] * 3 + [str]
    assert await manager.delete_sessions(ids) == [False, False, False, True]


async def test_a_damaged_session_is_an_error_in_its_place(manager: SessionManager, raw: redis.Redis) -> None:
    sessions = await create_sessions(manager, 4)
    ids = [each.session_id for each in sessions]
    keys = [manager._context.partitions.of_session(each).session(each) for each in ids]
    raw.hdel(keys[1], "user")
    raw.hset(keys[2], "m:a", b"?")
    found = await manager.get_sessions(ids)
    assert _kinds(found) == [Session, CorruptDataError, CorruptDataError, Session]
    for place in (1, 2):
        assert repr(keys[place]) in str(found[place])
    raw.hset(keys[1], "user", "ann")
    raw.hdel(keys[2], "m:a")
    assert await manager.get_sessions(ids) == sessions


async def test_some_tens_are_read_by_one_script_and_fewer_if_they_are_large(
    manager: SessionManager, raw: redis.Redis
) -> None:
    small, large = await _created(manager, 50), await _created(manager, 50, metadata={"a": "x" * 60_000})
    before = script_calls(raw)
    assert await manager.get_sessions([each.session_id for each in small]) == small
    assert script_calls(raw) - before == 1
    assert await manager.get_sessions([each.session_id for each in large]) == large
    assert script_calls(raw) - before == 1 + 10


@pytest.mark.parametrize("size", ["nan", "-1e18", "1e400", "many", ""])
async def test_a_size_that_is_damaged_costs_no_more_than_further_scripts(
    manager: SessionManager, raw: redis.Redis, size: str
) -> None:
    sessions = await _created(manager, 60)
    keys = manager._context.partitions.home
    for each in sessions[::2]:
        raw.hset(keys.session(each.session_id), "size", size)
    before = script_calls(raw)
    assert await manager.get_sessions([each.session_id for each in sessions]) == sessions
    assert script_calls(raw) - before <= 60


async def test_a_batch_whose_replies_are_lost_answers_as_at_its_first_sending(
    open_manager: Opener, server: RedisServer
) -> None:
    async with Proxy(server.port) as proxy:
        manager = open_manager(redis_url=proxy.url())
        await manager.session_exists("sess_1")
        proxy.lose_reply_of_call(proxy.calls + 1)
        sessions = await _created(manager, 20)
        ids = [each.session_id for each in sessions]
        proxy.lose_reply_of_call(proxy.calls + 1)
        saved = await manager.save_checkpoints([{"session_id": each, "data": {"turn": 0}} for each in ids])
        proxy.lose_reply_of_call(proxy.calls + 1)
        assert await manager.get_sessions(ids) == sessions
        assert [len(await manager.list_checkpoints(each)) for each in ids] == [1] * 20
        assert all(isinstance(each, str) for each in saved)
        proxy.lose_reply_of_call(proxy.calls + 1)
        assert await manager.delete_sessions(ids) == [True] * 20
        assert await manager.get_active_session_count() == 0
        await manager.aclose()


async def test_where_no_answer_comes_each_entry_says_so(
    manager: SessionManager, open_manager: Opener, server: RedisServer
) -> None:
    sessions = await _created(manager, 3)
    ids = [each.session_id for each in sessions]
    async with Proxy(server.port) as proxy:
        impatient = open_manager(redis_url=proxy.url(), call_timeout_seconds=2, connect_retries=0)
        assert await impatient.get_sessions(ids) == sessions
        proxy.hold_replies()
        assert _kinds(await impatient.get_sessions(ids)) == [StoreOutcomeUnknownError] * 3
        proxy.release_replies()
        assert await impatient.get_sessions(ids) == sessions
        await impatient.aclose()
    away = open_manager(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    for answers in (
        await away.create_sessions(_new(2)),
        await away.get_sessions(["sess_1", "sess_2"]),
        await away.delete_sessions(["sess_1", "sess_2"]),
        await away.save_checkpoints([{"session_id": each, "data": {}} for each in ("sess_1", "sess_2")]),
    ):
        assert _kinds(answers) == [StoreUnavailableError] * 2


async def test_a_cancelled_batch_stops(manager: SessionManager) -> None:
    sessions = await _created(manager, _MANY)
    deleting = asyncio.create_task(manager.delete_sessions([each.session_id for each in sessions]))
    await asyncio.sleep(0)
    deleting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deleting
    assert await manager.get_active_session_count() >= _MANY - 256
    assert {task for task in asyncio.all_tasks() if "take" in repr(task)} == set()


async def test_what_is_encrypted_stays_so(open_manager: Opener, raw: redis.Redis) -> None:
    keyed, without = open_manager(encryption_keys=key_ring("k1")), open_manager()
    sessions = await _created(keyed, 3, metadata={"a": "secret"})
    ids = [each.session_id for each in sessions]
    plain = await without.create_session("ann", "bot", {"a": 1})
    saved = await keyed.save_checkpoints([{"session_id": each, "data": {"a": "secret"}} for each in ids])
    for each in ids:
        keys = keyed._context.partitions.of_session(each)
        stored = [*raw.hgetall(keys.session(each)).values(), *raw.hgetall(keys.checkpoints(each)).values()]
        assert not any(b"secret" in value for value in stored)
    assert await keyed.get_sessions(ids) == sessions
    found = await keyed.get_checkpoint(ids[1], str(saved[1]))
    assert found is not None
    assert found["data"] == {"a": "secret"}
    read = await without.get_sessions([ids[0], plain.session_id])
    assert isinstance(read[0], AgentSessionsError)
    assert read[1] == plain


@pytest.mark.parametrize("tracking", [True, False])
async def test_a_cache_sees_what_a_batch_changed(open_manager: Opener, tracking: bool) -> None:
    manager = open_manager(CachedSessionManager, arguments={"max_staleness": 600, "tracking": tracking})
    sessions = await _created(manager, 4)
    ids = [each.session_id for each in sessions]
    for each in ids:
        await manager.get_session(each)
    assert await manager.delete_sessions(ids[:2]) == [True, True]
    assert await manager.get_sessions(ids) == [None, None, *sessions[2:]]


async def test_entries_about_one_session_wait_for_each_other(
    open_manager: Opener, server: RedisServer
) -> None:
    async with Proxy(server.port) as proxy:
        manager = open_manager(redis_url=proxy.url())
        session = await manager.create_session("ann", "bot")
        await manager.save_checkpoint(session.session_id, {"turn": -1})  # the server knows the script
        before = proxy.calls
        new: list[Any] = [{"session_id": session.session_id, "data": {"turn": turn}} for turn in range(5)]
        await manager.save_checkpoints(new)
        assert await turns(manager, session.session_id) == list(range(-1, 5))
        before = proxy.calls
        assert await manager.delete_sessions([session.session_id] * 3) == [True, False, False]
        assert proxy.calls - before == 3
        await manager.aclose()


async def test_checkpoints_of_one_session_are_saved_together_in_their_order(
    manager: SessionManager, raw: redis.Redis
) -> None:
    ids = [each.session_id for each in await _created(manager, 3)]
    large = {"turn": 50, "history": ["x" * 600] * 10}
    data: list[Any] = (
        [{"turn": turn} for turn in range(50)] + [large] + [{"turn": turn} for turn in range(51, 60)]
    )
    entries: list[Any] = [{"session_id": ids[0], "data": each} for each in data]
    entries[20]["data"] = {1: 2}
    entries[10:10] = [{"session_id": each, "data": {"turn": 0}} for each in (*ids[1:], "sess_aaanone")]
    await manager.save_checkpoints(entries[:1])
    before = script_calls(raw)
    answers = await manager.save_checkpoints(entries[1:])
    assert script_calls(raw) - before == 4  # 32 and 30 small ones, a large one, and those behind it
    assert [place + 1 for place, each in enumerate(answers) if not isinstance(each, str)] == [12, 23]
    listed = await manager.list_checkpoints(ids[0])
    assert [each["data"] for each in listed] == [each for each in data if each["turn"] != 20]
    saved = [each for place, each in enumerate(answers, 1) if entries[place]["session_id"] == ids[0]]
    assert [each["checkpoint_id"] for each in listed[1:]] == [each for each in saved if isinstance(each, str)]
    assert await turns(manager, ids[2]) == [0]


async def test_a_bound_holds_where_many_of_one_session_are_saved_together(open_manager: Opener) -> None:
    manager = open_manager(max_checkpoints=3)
    [session] = await _created(manager, 1)
    new: list[Any] = [
        {"session_id": session.session_id, "data": {"turn": turn}, "pin": turn == 7} for turn in range(40)
    ]
    await manager.save_checkpoints(new)
    assert await turns(manager, session.session_id) == [7, 37, 38, 39]


async def test_where_users_have_keys_an_erased_one_harms_its_own_entries_only(open_manager: Opener) -> None:
    with RedisServer() as key_server:
        manager = open_manager(encryption_keys=key_ring("k1"), user_keys_url=key_server.url())
        sessions = await _created(manager, 3, metadata={"a": "secret"})
        ids = [each.session_id for each in sessions]
        assert await manager.get_sessions(ids) == sessions
        assert await manager.erase_user_key("user 1")
        found = await manager.get_sessions(ids)
        assert (found[0], found[2]) == (sessions[0], sessions[2])
        assert isinstance(found[1], DecryptionError)
        saved = await manager.save_checkpoints([{"session_id": each, "data": {"a": 1}} for each in ids])
        assert _kinds(saved) == [str, DecryptionError, str]
        assert await manager.delete_sessions(ids) == [True] * 3
        await manager.aclose()
