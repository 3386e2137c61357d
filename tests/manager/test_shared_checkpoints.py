"""What the checkpoints of a session have in common is stored once, and each is still a thing of its own."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis

from agent_runtime.manager import CorruptDataError, SessionManager
from tests.support.jobs import receipts_of
from tests.support.keyspace import script_calls, snapshot
from tests.support.leftovers import chunk_problems, find_leftovers, remove_namespace
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.talks import checkpoint_of, talk

Opener = Callable[..., SessionManager]
History = list[dict[str, str]]


@pytest.fixture
async def session_id(manager: SessionManager) -> str:
    return (await manager.create_session("ann", "bot")).session_id


@pytest.fixture
def key(namespace: str, session_id: str) -> str:
    """Where its checkpoints lie."""
    return f"{namespace}:{{0}}:c:{session_id}"


async def _save_talk(
    manager: SessionManager, session_id: str, history: History, turns: range, **arguments: Any
) -> list[str]:
    return [
        await manager.save_checkpoint(session_id, checkpoint_of(history, turn), **arguments) for turn in turns
    ]


async def _histories(manager: SessionManager, session_id: str) -> list[int]:
    """How many messages each checkpoint has, oldest first; each read in both ways."""
    listed = await manager.list_checkpoints(session_id)
    for each in listed:
        assert await manager.get_checkpoint(session_id, each["checkpoint_id"]) == each
    return [len(each["data"]["history"]) for each in listed]


def _chunks(raw: redis.Redis, key: str) -> list[bytes]:
    return sorted(field for field in raw.hkeys(key) if field[:1] == b"\xff")


@pytest.mark.parametrize("kind", [None, "redis7", "redis6"])
async def test_fifty_turns_take_a_fifteenth_of_plain_json(kind: str | None, namespace: str) -> None:
    history = talk(50)
    with RedisServer(kind) as server:
        raw = server.client()
        async with SessionManager(redis.Redis.from_url(server.url())) as manager:
            session = await manager.create_session("ann", "bot")
            for turn in range(1, 51):
                data = checkpoint_of(history, turn)
                checkpoint_id = await manager.save_checkpoint(session.session_id, data)
                raw.hset("plain", checkpoint_id, json.dumps(data))
            listed = await manager.list_checkpoints(session.session_id)
            assert [each["data"] for each in listed] == [checkpoint_of(history, n) for n in range(1, 51)]
        plain = raw.memory_usage("plain", samples=0)
        taken = sum(raw.memory_usage(key, samples=0) for key in raw.keys("agent_sessions:*"))
        assert taken * 15 <= plain
        raw.close()


async def test_what_only_a_deleted_checkpoint_had_is_gone(
    manager: SessionManager, raw: redis.Redis, session_id: str, key: str
) -> None:
    history = talk(20)
    await _save_talk(manager, session_id, history, range(10, 15))
    before = raw.hgetall(key)
    said = {"role": "user", "content": "my number is 4929 1234 " + "0123456789abcdef" * 40}
    aside = await manager.save_checkpoint(session_id, {"turn": 15, "history": [*history[:28], said]})
    assert len(raw.hgetall(key)) == len(before) + 2
    await _save_talk(manager, session_id, history, range(15, 17))
    assert await manager.delete_checkpoint(session_id, aside)
    left = await manager.list_checkpoints(session_id)
    assert "4929" not in json.dumps([each["data"] for each in left])
    assert len(left) == 7
    assert chunk_problems(raw.hgetall(key)) == []
    assert len(_chunks(raw, key)) == len([field for field in before if field[:1] == b"\xff"]) + 2


async def test_the_last_that_names_a_chunk_takes_it_away(
    manager: SessionManager, raw: redis.Redis, session_id: str, key: str
) -> None:
    ids = await _save_talk(manager, session_id, talk(12), range(9, 13))
    assert _chunks(raw, key)
    for place in (2, 0, 3, 1):
        assert await manager.delete_checkpoint(session_id, ids[place])
        assert chunk_problems(raw.hgetall(key)) == []
    assert not raw.exists(key)


async def test_prunings_and_the_bound_leave_what_is_still_named(
    open_manager: Opener, raw: redis.Redis, session_id: str, key: str
) -> None:
    manager = open_manager(max_checkpoints=3)
    history = talk(40)
    await _save_talk(manager, session_id, history, range(9, 10), pin=True)
    await _save_talk(manager, session_id, history, range(10, 39))
    aside = {"role": "user", "content": "never mind " * 60}
    await manager.save_checkpoint(session_id, {"history": [*history[:76], aside]})
    await _save_talk(manager, session_id, history, range(39, 40))
    assert await _histories(manager, session_id) == [18, 76, 77, 78]
    assert chunk_problems(raw.hgetall(key)) == []
    preview = await manager.jobs.preview(manager.jobs.pruning(session_id, keep_last=1))
    before = sum(map(len, raw.hvals(key))) - raw.hstrlen(key, b"\xff")
    assert await manager.prune_checkpoints(session_id=session_id, keep_last=1) == 2
    assert preview.bytes == before - (sum(map(len, raw.hvals(key))) - raw.hstrlen(key, b"\xff"))
    assert await _histories(manager, session_id) == [18, 78]


async def test_a_window_that_moves_over_the_history_is_shared_too(
    manager: SessionManager, raw: redis.Redis, session_id: str, key: str
) -> None:
    history = talk(60)
    for turn in range(10, 60):
        await manager.save_checkpoint(session_id, {"history": history[2 * turn - 20 : 2 * turn]})
    listed = await manager.list_checkpoints(session_id)
    assert [each["data"]["history"] for each in listed] == [
        history[2 * turn - 20 : 2 * turn] for turn in range(10, 60)
    ]
    assert sum(map(len, raw.hvals(key))) < sum(len(json.dumps(each["data"])) for each in listed) / 6


async def test_two_processes_share_what_one_has_read(
    open_manager: Opener, raw: redis.Redis, session_id: str, key: str
) -> None:
    history = talk(30)
    managers = [open_manager(), open_manager()]
    for turn in range(9, 31):
        manager = managers[turn % 2]
        await manager.get_latest_checkpoint(session_id)
        await manager.save_checkpoint(session_id, checkpoint_of(history, turn))
    assert await _histories(managers[0], session_id) == [2 * turn for turn in range(9, 31)]
    contents = sum(len(each["content"]) for each in history)
    assert sum(map(len, raw.hvals(key))) < contents
    assert chunk_problems(raw.hgetall(key)) == []


@pytest.mark.parametrize("lost", ["cleared", "created again", "chunks lost"])
async def test_what_a_process_takes_for_there_and_is_gone_is_sent_again(
    open_manager: Opener, raw: redis.Redis, session_id: str, key: str, lost: str
) -> None:
    history = talk(12)
    stale, other = open_manager(), open_manager()
    await _save_talk(stale, session_id, history, range(9, 11))
    if lost == "cleared":
        await other.clear_checkpoints(session_id)
    elif lost == "created again":
        await other.delete_session(session_id)
        await other.create_session("ann", "bot", session_id=session_id)
    else:  # as where a replica takes over that has not seen the last writes
        raw.delete(key, key.replace(":c:", ":o:"))
    others = checkpoint_of(talk(20, seed=1), 20)
    await other.save_checkpoint(session_id, others)
    calls = script_calls(raw)
    await _save_talk(stale, session_id, history, range(11, 12))
    assert script_calls(raw) - calls == 2
    await _save_talk(stale, session_id, history, range(12, 13))
    assert script_calls(raw) - calls == 3
    saved = [each["data"] for each in await stale.list_checkpoints(session_id)]
    assert saved == [others, checkpoint_of(history, 11), checkpoint_of(history, 12)]
    assert chunk_problems(raw.hgetall(key)) == []


async def test_gathered_saves_of_many_are_right(
    open_manager: Opener, raw: redis.Redis, session_id: str, key: str
) -> None:
    history = talk(30)
    managers = [open_manager() for _ in range(3)]
    saved = await asyncio.gather(
        *(managers[n % 3].save_checkpoint(session_id, checkpoint_of(history, 10 + n % 20)) for n in range(60))
    )
    listed = {each["checkpoint_id"]: each["data"] for each in await managers[0].list_checkpoints(session_id)}
    assert listed == {each: checkpoint_of(history, 10 + n % 20) for n, each in enumerate(saved)}
    assert chunk_problems(raw.hgetall(key)) == []


async def test_a_save_repeated_changes_nothing_even_with_other_data(
    open_manager: Opener, raw: redis.Redis, namespace: str, session_id: str
) -> None:
    history = talk(20)
    manager = open_manager()
    await manager.save_checkpoint(session_id, checkpoint_of(history, 12), checkpoint_id="mine")
    written = snapshot(raw, namespace)
    for again in (manager, open_manager()):
        await again.save_checkpoint(session_id, checkpoint_of(history, 15), checkpoint_id="mine")
        assert snapshot(raw, namespace) == written
    await manager.save_checkpoint(session_id, checkpoint_of(history, 16))
    assert await _histories(manager, session_id) == [24, 32]


async def test_chunks_that_a_process_has_read_or_saved_are_not_sent_to_it_again(
    open_manager: Opener, raw: redis.Redis, session_id: str
) -> None:
    history = talk(40)
    saving, reading = open_manager(), open_manager()
    ids = await _save_talk(saving, session_id, history, range(30, 40))
    expected = checkpoint_of(history, 39)

    async def sent_for(manager: SessionManager, checkpoint_id: str | None = None) -> int:
        before = raw.info("stats")["total_net_output_bytes"]
        found = await (
            manager.get_checkpoint(session_id, checkpoint_id)
            if checkpoint_id
            else manager.get_latest_checkpoint(session_id)
        )
        assert found is not None
        assert found["data"] == (checkpoint_of(history, 30) if checkpoint_id else expected)
        return int(raw.info("stats")["total_net_output_bytes"] - before)

    apart = await sent_for(reading)  # INFO's own answer is in each
    for _ in range(2):
        assert await sent_for(saving) < apart / 2
        assert await sent_for(reading) < apart / 2
        assert await sent_for(reading, ids[0]) < apart / 2
    expected = checkpoint_of(history, 40)
    await _save_talk(saving, session_id, history, range(40, 41))
    assert await sent_for(reading) < apart / 2
    assert await sent_for(open_manager()) > apart / 2


async def test_what_there_is_no_room_to_keep_is_known_all_the_same(
    open_manager: Opener, raw: redis.Redis, session_id: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = talk(14)
    await _save_talk(open_manager(), session_id, history, range(10, 13))
    before = len(_chunks(raw, key))
    monkeypatch.setattr("agent_runtime.manager.chunks.chunk_cache._MOST_BYTES", 1_000)
    other = open_manager()
    assert await other.get_latest_checkpoint(session_id)
    await _save_talk(other, session_id, history, range(13, 14))
    assert len(_chunks(raw, key)) == before + 1


@pytest.mark.parametrize("forgotten", ["cleared", "deleted", "two streams", "another order"])
async def test_what_a_process_has_read_never_takes_the_place_of_what_is_there(
    open_manager: Opener, session_id: str, forgotten: str
) -> None:
    history = talk(30)
    one, other = open_manager(), open_manager()
    await _save_talk(one, session_id, history, range(20, 22))
    assert await one.get_latest_checkpoint(session_id)
    now: dict[str, Any] = checkpoint_of(talk(25, seed=3), 25)
    if forgotten == "cleared":
        await other.clear_checkpoints(session_id)
    elif forgotten == "deleted":
        await other.delete_session(session_id)
        await other.create_session("ann", "bot", session_id=session_id)
    elif forgotten == "two streams":
        now = {"turn": 0, "history": [*history[20:30], *talk(9, seed=4), *history[:10]]}
    else:
        await other.get_latest_checkpoint(session_id)
        now = {"turn": 0, "history": history[:42][::-1], "again": history[:42]}
    await other.save_checkpoint(session_id, now)
    for manager in (one, other, open_manager(), one):
        latest = await manager.get_latest_checkpoint(session_id)
        assert latest is not None
        assert latest["data"] == now


async def test_scripts_that_the_server_forgot_are_sent(
    manager: SessionManager, raw: redis.Redis, session_id: str, key: str
) -> None:
    history = talk(14)
    for turn in range(9, 15):
        raw.script_flush()
        await _save_talk(manager, session_id, history, range(turn, turn + 1))
        raw.script_flush()
        assert await manager.get_latest_checkpoint(session_id)
    assert await _histories(manager, session_id) == [2 * turn for turn in range(9, 15)]
    assert chunk_problems(raw.hgetall(key)) == []


@pytest.mark.parametrize(
    "data",
    [
        {"a": {"b": {"c": [{"x": "1" * 300}] * 30}}, "tools": ["t" * 100] * 60, "prompt": "p" * 3_000},
        {"numbers": [{"n": 12}, {"n": 123}] * 600, "more": list(range(2_000)), "": [["", None, 1.5]] * 400},
        {"halves": ["\ud83d" * 100, "\ude00" * 100] * 20, "\udfff": ["ÿ" * 2_000, "\x00" * 2_000]},
        {"many": [{"text": f"{n} " * 200} for n in range(2_000)]},
        {"lists": [[["x" * 100] * 10] * 10], "bytes of a gap": "ÿ" * 5_000},
    ],
    ids=["levels", "numbers", "halves", "many", "lists"],
)
async def test_data_of_any_shape_comes_back_exactly(
    manager: SessionManager, raw: redis.Redis, session_id: str, key: str, data: dict[str, Any]
) -> None:
    for turn in range(3):
        data = {**data, "turn": turn, "history": [str(n) * 400 for n in range(turn * 3)]}
        await manager.save_checkpoint(session_id, data)
        latest = await manager.get_latest_checkpoint(session_id)
        assert latest is not None
        assert repr(latest["data"]) == repr(data)
    assert chunk_problems(raw.hgetall(key)) == []
    assert _chunks(raw, key)


async def test_one_call_reads_and_one_saves(
    manager: SessionManager, raw: redis.Redis, session_id: str
) -> None:
    history = talk(12)
    [first, _] = await _save_talk(manager, session_id, history, range(9, 11))
    calls = script_calls(raw)
    await manager.get_latest_checkpoint(session_id)
    await manager.get_checkpoint(session_id, first)
    await _save_talk(manager, session_id, history, range(11, 12))
    await manager.delete_checkpoint(session_id, first)
    assert script_calls(raw) - calls == 4


#: Lists of chunks that no version has written.
UNREADABLE_LISTS = {
    "empty": b"",
    "no stream": b"1-2",
    "a range that is too long": b"0123456789:1-999999999999",
    "a range that goes back": b"0123456789:2-1",
    "no text": b"\xff",
    # To Lua, such a number is its own successor, so that a loop over the range would never end.
    "numbers beyond what Lua counts": b"0123456789:100000000000000000-100000000000000001",
    "a number that Lua takes for infinity": b"0123456789:" + b"1" * 400,
    # A pattern with a repetition at its beginning goes through these once for each of them.
    "16 KB of digits": b"a" * 16_000,
}


@pytest.mark.parametrize("head", UNREADABLE_LISTS.values(), ids=UNREADABLE_LISTS)
async def test_a_list_of_chunks_that_cannot_be_read_is_said_with_its_key(
    manager: SessionManager, raw: redis.Redis, namespace: str, session_id: str, key: str, head: bytes
) -> None:
    ids = await _save_talk(manager, session_id, talk(12), range(9, 13))
    around = raw.hget(key, ids[1]).partition(b"\n")[2]
    raw.hset(key, ids[1], b"p" + head + b"\n" + around)
    with pytest.raises(CorruptDataError, match=f"{ids[1]}.*c:{session_id}"):
        await manager.get_checkpoint(session_id, ids[1])
    assert len(await manager.list_checkpoints(session_id)) == 3
    assert await manager.delete_checkpoint(session_id, ids[1])
    [_ async for _ in manager.scrub(repair=True)]
    assert find_leftovers(raw, namespace) == []


async def test_a_checkpoint_whose_chunk_is_gone_is_said_and_the_others_are_read(
    open_manager: Opener, raw: redis.Redis, namespace: str, session_id: str, key: str
) -> None:
    manager, other = open_manager(), open_manager()
    await _save_talk(manager, session_id, talk(12), range(9, 13))
    newest = max(_chunks(raw, key), key=lambda field: int(field.partition(b":")[2] or 0))
    raw.hdel(key, newest)
    with pytest.raises(CorruptDataError, match=r"chunk .* is gone"):
        await other.get_latest_checkpoint(session_id)
    assert len(await other.list_checkpoints(session_id)) == 3
    latest = await manager.get_latest_checkpoint(session_id)  # it still has it
    assert latest is not None
    assert latest["data"] == checkpoint_of(talk(12), 12)
    remove_namespace(raw, namespace)


async def test_a_note_that_cannot_be_read_keeps_nobody_from_saving(
    manager: SessionManager, raw: redis.Redis, namespace: str, session_id: str, key: str
) -> None:
    history = talk(12)
    await _save_talk(manager, session_id, history, range(9, 11))
    raw.hset(key, b"\xff", b"{")
    await _save_talk(manager, session_id, history, range(11, 13))
    assert await _histories(manager, session_id) == [18, 20, 22, 24]
    assert [each.damage.value async for each in manager.scrub(repair=True)] == ["chunks"]
    assert find_leftovers(raw, namespace) == []


_DAMAGES: dict[str, Callable[[redis.Redis, str, list[str]], Any]] = {
    "a chunk that none names": lambda raw, key, ids: raw.hset(key, b"\xff0123456789:1", b"j{}"),
    "a count too high": lambda raw, key, ids: _recount(raw, key, 1),
    "a count too low": lambda raw, key, ids: _recount(raw, key, -1),
    "no counts": lambda raw, key, ids: raw.hdel(key, b"\xff"),
    "a checkpoint lost": lambda raw, key, ids: raw.hdel(key, ids[3]),
    "a checkpoint not listed": lambda raw, key, ids: raw.zrem(key.replace(":c:", ":o:"), ids[3]),
}


def _recount(raw: redis.Redis, key: str, change: int) -> None:
    counts = json.loads(raw.hget(key, b"\xff"))
    raw.hset(key, b"\xff", json.dumps({name: count + change for name, count in counts.items()}))


@pytest.mark.parametrize("damage", _DAMAGES)
async def test_a_check_finds_and_mends_what_is_wrong_with_chunks(
    manager: SessionManager, raw: redis.Redis, namespace: str, session_id: str, key: str, damage: str
) -> None:
    ids = await _save_talk(manager, session_id, talk(12), range(9, 13))
    assert [each async for each in manager.scrub()] == []
    _DAMAGES[damage](raw, key, ids)
    before = raw.hgetall(key)
    found = [each async for each in manager.scrub()]
    assert {each.damage.value for each in found} <= {"chunks", "checkpoints"}
    assert found
    assert raw.hgetall(key) == before
    assert all([each.repaired async for each in manager.scrub(repair=True)])
    assert [each async for each in manager.scrub()] == []
    assert find_leftovers(raw, namespace) == []
    kept = [18, 20, 22] if "checkpoint" in damage else [18, 20, 22, 24]
    assert await _histories(manager, session_id) == kept


async def test_counts_are_of_checkpoints_not_of_chunks(manager: SessionManager) -> None:
    [session, *_] = await create_sessions(manager, 2, "eve", "other")
    await _save_talk(manager, session.session_id, talk(12), range(9, 13))
    preview = await manager.jobs.preview(manager.jobs.agent_deletion("other"))
    assert (preview.sessions, preview.checkpoints) == (2, 4)
    job_id = await manager.revoke_agent_sessions("other")
    await manager.jobs.run(job_id)
    [receipt] = await receipts_of(manager)
    assert (receipt.sessions, receipt.checkpoints) == (2, 4)
