"""Scripts that take many sessions: each of them wholly or not at all, whatever is wrong with another."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from agent_runtime.manager import (
    AgentSessionsError,
    CorruptDataError,
    InvalidArgumentError,
    Session,
    SessionManager,
    SessionNotFoundError,
    StoreRefusedError,
    new_session_id,
)
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts import sessions as session_scripts
from agent_runtime.manager.scripts.checkpoints import EncodedCheckpoint, save_checkpoints
from agent_runtime.manager.stores.batch_pages import Batch, Plan
from tests.support.keyspace import script_calls, snapshot
from tests.support.leftovers import remove_namespace
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, save_turns, turns

Opener = Callable[..., SessionManager]


@pytest.fixture
def damaged(raw: redis.Redis, namespace: str) -> Iterator[str]:
    """The prefix of keys that a test puts in the way; they go with everything else of this namespace."""
    yield f"{namespace}:{{0}}:"
    remove_namespace(raw, namespace)


def _errors(answers: list[Any]) -> list[str]:
    return ["" if not isinstance(each, CorruptDataError) else str(each) for each in answers]


def _new(*users: str, **more: Any) -> list[Any]:
    return [{"user_id": user, "agent_id": "bot", **more} for user in users]


async def test_a_hundred_take_four_scripts_and_fewer_fit_if_they_are_large(
    manager: SessionManager, raw: redis.Redis
) -> None:
    await manager.session_exists("sess_000")  # agrees on the layout
    before = script_calls(raw)

    def calls() -> int:
        nonlocal before
        before, since = script_calls(raw), before
        return before - since

    sessions = await manager.create_sessions(_new(*map(str, range(100))))
    assert calls() == 4
    ids = [each.session_id for each in sessions if isinstance(each, Session)]
    assert all(
        isinstance(each, str)
        for each in await manager.save_checkpoints([{"session_id": each, "data": {}} for each in ids])
    )
    assert calls() == 4
    assert await manager.delete_sessions(ids) == [True] * 100
    assert calls() == 4
    await manager.create_sessions(_new(*map(str, range(32)), metadata={"a": "x" * 60_000}))
    assert calls() == 7  # five of them are more than 262,144 bytes


async def test_those_created_by_one_script_are_in_the_order_of_the_input(manager: SessionManager) -> None:
    created = await manager.create_sessions(_new(*["ann"] * 30))
    moments = [each.created_at for each in created if isinstance(each, Session)]
    assert moments == sorted(set(moments))
    assert await manager.get_sessions_by_user("ann") == created


async def test_an_id_that_is_there_answers_as_it_is_and_another_users_is_refused(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    there = await manager.create_session("ann", "bot", {"a": 1})
    before = snapshot(raw, namespace)
    again: Any = {"user_id": "ann", "agent_id": "x", "metadata": {"b": 2}, "session_id": there.session_id}
    assert await manager.create_sessions([again, again]) == [there, there]
    assert snapshot(raw, namespace) == before
    taken = new_session_id("ann")
    raw.hset(f"{namespace}:{{0}}:s:{taken}", mapping={"user": "bob", "agent": "bot", "expires": 10**15})
    answers = await manager.create_sessions([*_new("ann", session_id=taken), *_new("ann")])
    raw.delete(f"{namespace}:{{0}}:s:{taken}")
    assert isinstance(answers[0], InvalidArgumentError)
    assert isinstance(answers[1], Session)


async def test_damage_stops_the_creation_of_its_own_sessions_only(
    manager: SessionManager, raw: redis.Redis, damaged: str
) -> None:
    wrong, half = new_session_id("ann"), new_session_id("ann")
    raw.set(f"{damaged}s:{wrong}", "x")
    raw.hset(f"{damaged}s:{half}", "agent", "bot")
    raw.set(f"{damaged}u:bob", "x")
    raw.set(f"{damaged}a:broken", "x")
    wanted: list[Any] = [
        *_new("ann"), *_new("ann", session_id=wrong), *_new("ann", session_id=half), *_new("bob"),
        {"user_id": "carol", "agent_id": "broken"}, *_new("bob"), *_new("carol"),
    ]  # fmt: skip
    answers = await manager.create_sessions(wanted)
    errors = _errors(answers)
    for place, key in {1: f"s:{wrong}", 2: f"s:{half}", 3: "u:bob", 4: "a:broken", 5: "u:bob"}.items():
        assert damaged + key in errors[place]
    assert [isinstance(each, Session) for each in answers] == [True] + [False] * 5 + [True]
    assert await manager.get_active_session_count() == 2
    assert raw.zcard(f"{damaged}x") == 2
    assert len(list(raw.scan_iter(match=f"{damaged}s:*"))) == 4
    assert raw.zrange(f"{damaged}a:bot", 0, -1) == sorted(
        each.session_id.encode() for each in answers if isinstance(each, Session)
    )


async def test_damage_stops_the_deletion_of_its_own_sessions_only(
    manager: SessionManager, raw: redis.Redis, damaged: str
) -> None:
    ids = [each.session_id for each in await create_sessions(manager, 4)]
    [other] = await create_sessions(manager, 1, "bob")
    raw.hdel(f"{damaged}s:{ids[1]}", "user")
    raw.delete(f"{damaged}s:{ids[2]}")
    raw.set(f"{damaged}s:{ids[2]}", "x")
    raw.delete(f"{damaged}u:bob")
    raw.set(f"{damaged}u:bob", "x")
    answers = await manager.delete_sessions([*ids, other.session_id])
    assert (answers[0], answers[3]) == (True, True)
    for place, key in {1: f"s:{ids[1]}", 2: f"s:{ids[2]}", 4: "u:bob"}.items():
        assert damaged + key in _errors(answers)[place]
    assert {key for key in raw.scan_iter(match=f"{damaged}s:*")} == {
        f"{damaged}s:{each}".encode() for each in (ids[1], ids[2], other.session_id)
    }


async def test_damage_stops_the_saving_into_its_own_session_only_and_nothing_of_it_is_written(
    manager: SessionManager, raw: redis.Redis, damaged: str
) -> None:
    ids = [each.session_id for each in await create_sessions(manager, 5)]
    raw.set(f"{damaged}o:{ids[1]}", "x")
    raw.set(f"{damaged}c:{ids[2]}", "x")
    raw.hset(f"{damaged}s:{ids[3]}", "pins", "many")
    answers = await manager.save_checkpoints(
        [{"session_id": each, "data": {"turn": 0}, "pin": True} for each in ids]
    )
    assert (isinstance(answers[0], str), isinstance(answers[4], str)) == (True, True)
    for place, key in {1: f"o:{ids[1]}", 2: f"c:{ids[2]}", 3: f"s:{ids[3]}"}.items():
        assert damaged + key in _errors(answers)[place]
    assert not raw.exists(f"{damaged}c:{ids[1]}", f"{damaged}o:{ids[2]}", f"{damaged}c:{ids[3]}")
    for place in (0, 4):
        assert await turns(manager, ids[place]) == [0]


async def test_a_full_server_refuses_each_and_writes_nothing_but_deletes(open_manager: Opener) -> None:
    with RedisServer() as full, full.client() as behind:
        manager = open_manager(redis_url=full.url())
        ids = [each.session_id for each in await create_sessions(manager, 40)]
        behind.config_set("maxmemory-policy", "noeviction")
        behind.config_set("maxmemory", int(behind.info("memory")["used_memory"]) // 2)
        before = snapshot(behind, manager.settings.namespace)
        refused: list[Any] = await manager.create_sessions(_new(*map(str, range(40))))
        refused += await manager.save_checkpoints([{"session_id": each, "data": {}} for each in ids])
        assert {type(each) for each in refused} == {StoreRefusedError}
        assert snapshot(behind, manager.settings.namespace) == before
        assert await manager.delete_sessions(ids) == [True] * 40
        behind.config_set("maxmemory", 0)
        await manager.aclose()


async def test_large_checkpoints_among_small_ones_are_saved_in_their_order(
    manager: SessionManager,
) -> None:
    ids = [each.session_id for each in await create_sessions(manager, 3)]
    new: list[Any] = [
        {"session_id": each, "data": {"turn": turn, "said": "word " * (2_000 if turn % 2 else 1)}}
        for turn in range(6)
        for each in ids
    ]
    assert all(isinstance(each, str) for each in await manager.save_checkpoints(new))
    for each in ids:
        assert await turns(manager, each) == list(range(6))


async def test_the_bound_holds_in_each_session(open_manager: Opener) -> None:
    roomy, bounded = open_manager(), open_manager(max_checkpoints=2)
    ids = [each.session_id for each in await create_sessions(roomy, 40)]
    await save_turns(roomy, ids[0], 6)
    for turn in (6, 7, 8, 9):
        await bounded.save_checkpoints([{"session_id": each, "data": {"turn": turn}} for each in ids])
    for each in ids:
        assert await turns(roomy, each) == [8, 9]


async def test_the_cap_is_exact_where_one_script_meets_it(open_manager: Opener) -> None:
    manager = open_manager(max_sessions=7)
    there = await manager.create_session("ann", "bot")
    again: Any = {"user_id": "ann", "agent_id": "bot", "session_id": there.session_id}
    answers = await manager.create_sessions([*_new(*"abcdefgh"), again])
    assert [isinstance(each, Session) for each in answers] == [True] * 6 + [False] * 2 + [True]
    assert await manager.get_active_session_count() == 7


async def test_a_deletion_repeated_answers_as_before_and_tries_again_what_was_damaged(
    manager: SessionManager, raw: redis.Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Keys, "new_answer", lambda keys: keys.prefix + b"answer:this")
    first, second, hurt = await create_sessions(manager, 3)
    ids = [first.session_id, "sess_later", second.session_id, hurt.session_id]
    key = f"{namespace}:{{0}}:s:{hurt.session_id}"
    raw.hdel(key, "user")
    answers: list[Any] = await manager.delete_sessions(ids)
    assert answers[:3] == [True, False, True]
    assert isinstance(answers[3], CorruptDataError)
    raw.hset(key, "user", "ann")
    again = await manager.create_session("ann", "bot", session_id=first.session_id)
    assert await manager.delete_sessions(ids) == [True, False, True, True]
    assert await manager.get_sessions(ids) == [again, None, None, None]
    assert await manager.delete_sessions(ids) == [True, False, True, True]


async def test_a_script_repeated_beyond_its_end_changes_nothing(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    keys = manager._context.partitions.of_user("ann")
    sealed = [
        session_scripts.EncodedSession(new_session_id("ann"), "ann", "bot", 4, [b"m:a", b"j1"])
        for _ in range(3)
    ]
    saved = [EncodedCheckpoint(each.session_id, "ckpt_1", b"j{}", True) for each in sealed]
    for attempt in range(3):
        await session_scripts.create_sessions(
            manager._context.client, keys, sealed, ttl_ms=60_000, max_sessions=3
        )
        assert await save_checkpoints(manager._context.client, keys, saved, max_unpinned=1) == [True] * 3
        if attempt == 0:
            before = snapshot(raw, namespace)
    assert snapshot(raw, namespace) == before


async def test_sessions_that_are_not_there_are_told_one_by_one(manager: SessionManager) -> None:
    [there] = await create_sessions(manager, 1)
    new: Any = [{"session_id": each, "data": {}} for each in ("sess_1", there.session_id, "sess_2")]
    answers = await manager.save_checkpoints(new)
    assert [type(each) for each in answers] == [SessionNotFoundError, str, SessionNotFoundError]
    for place, name in ((0, "sess_1"), (2, "sess_2")):
        assert name in str(answers[place])
        assert isinstance(answers[place], AgentSessionsError)


async def test_no_two_pages_about_one_session_are_on_their_way_at_a_time() -> None:
    busy: set[str] = set()
    keys = Keys("agent_sessions", 0)
    pages = 0

    async def send(_: Keys, entries: list[Any]) -> list[int]:
        nonlocal pages
        pages += 1
        sessions = {each["session_id"] for each in entries}
        assert not sessions & busy
        busy.update(sessions)
        await asyncio.sleep(0.01)
        busy.difference_update(sessions)
        return [each["turn"] for each in entries]

    async def send_alone(entry: Any) -> int:
        return (await send(keys, [entry]))[0]

    entries = [{"session_id": f"sess_{turn % 3}", "turn": turn} for turn in range(300)]
    batch = Batch(entries, lambda entry: Plan(entry, keys), send, send_alone, in_order=True)
    assert await batch.run() == list(range(300))
    assert pages < 20
