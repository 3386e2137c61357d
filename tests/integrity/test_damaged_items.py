"""A damaged item raises an error that names its key when a caller asks for it, and stops nothing else."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from agent_runtime.manager import CorruptDataError, SessionManager, StoreError
from agent_runtime.manager.jobs import JobState, Sweep
from tests.integrity.damages import Damaged, damaged_store
from tests.support.keyspace import snapshot
from tests.support.leftovers import remove_namespace
from tests.support.sessions import create_sessions, save_turns

Opener = Callable[..., SessionManager]

#: Damage that makes the whole session unreadable, and the key that the error names.
OF_SESSION: dict[str, tuple[Callable[[Damaged], Any], str]] = {
    "no expiry": (lambda at: at.raw.hdel(at.s, "expires"), "s"),
    "expiry no number": (lambda at: at.raw.hset(at.s, "expires", "soon"), "s"),
    "expiry not a number": (lambda at: at.raw.hset(at.s, "expires", "nan"), "s"),
    "expiry without end": (lambda at: at.raw.hset(at.s, "expires", "inf"), "s"),
    "expiry negative": (lambda at: at.raw.hset(at.s, "expires", "-1"), "s"),
    "expiry too long": (lambda at: at.raw.hset(at.s, "expires", "9" * 30), "s"),
    "no user": (lambda at: at.raw.hdel(at.s, "user"), "s"),
    "no agent": (lambda at: at.raw.hdel(at.s, "agent"), "s"),
    "only metadata": (lambda at: at.raw.hdel(at.s, "user", "agent", "expires", "created"), "s"),
    "type of the session": (lambda at: at.raw.set(at.s, "text", ex=60), "s"),
    "type of the user's index": (lambda at: _replace(at.raw, at.u), "u"),
    "type of the agent's index": (lambda at: _replace(at.raw, at.a), "a"),
}

#: Every call on one session.
CALLS: dict[str, Callable[[SessionManager, str, str], Awaitable[Any]]] = {
    "get_session": lambda m, s, c: m.get_session(s),
    "session_exists": lambda m, s, c: m.session_exists(s),
    "update_session": lambda m, s, c: m.update_session(s, metadata={}),
    "update_session_metadata": lambda m, s, c: m.update_session_metadata(s, {"a": 1}),
    "refresh_session": lambda m, s, c: m.refresh_session(s),
    "delete_session": lambda m, s, c: m.delete_session(s),
    "save_checkpoint": lambda m, s, c: m.save_checkpoint(s, {}),
    "get_checkpoint": lambda m, s, c: m.get_checkpoint(s, c),
    "get_latest_checkpoint": lambda m, s, c: m.get_latest_checkpoint(s),
    "list_checkpoints": lambda m, s, c: m.list_checkpoints(s),
    "pin_checkpoint": lambda m, s, c: m.pin_checkpoint(s, c),
    "unpin_checkpoint": lambda m, s, c: m.unpin_checkpoint(s, c),
    "pinned_checkpoints": lambda m, s, c: m.pinned_checkpoints(s),
    "delete_checkpoint": lambda m, s, c: m.delete_checkpoint(s, c),
    "clear_checkpoints": lambda m, s, c: m.clear_checkpoints(s),
}


def _replace(raw: redis.Redis, key: bytes) -> None:
    """Replace the key by a set, a type that the store never uses."""
    raw.delete(key)
    raw.sadd(key, "member")
    raw.expire(key, 60)


@pytest.fixture
async def store(manager: SessionManager, raw: redis.Redis) -> Damaged:
    return await damaged_store(manager, raw)


@pytest.mark.parametrize("damage", OF_SESSION)
async def test_every_call_on_a_damaged_session_says_its_key_and_writes_nothing(
    manager: SessionManager, raw: redis.Redis, namespace: str, store: Damaged, damage: str
) -> None:
    plant, key = OF_SESSION[damage]
    plant(store)
    before = snapshot(raw, namespace)
    for name, call in CALLS.items():
        with pytest.raises(CorruptDataError) as caught:
            await call(manager, store.session.session_id, store.ids[1])
        assert not isinstance(caught.value, StoreError), name
        assert getattr(store, key).decode() in str(caught.value), name
    assert snapshot(raw, namespace) == before
    remove_namespace(raw, namespace)


@pytest.mark.parametrize(
    ("damaged", "calls"),
    [
        ("c", ["save_checkpoint", "get_checkpoint", "list_checkpoints", "delete_checkpoint"]),
        (
            "o",
            [
                "save_checkpoint",
                "get_checkpoint",
                "get_latest_checkpoint",
                "list_checkpoints",
                "pin_checkpoint",
                "unpin_checkpoint",
                "pinned_checkpoints",
                "delete_checkpoint",
                "clear_checkpoints",
            ],
        ),
    ],
)
async def test_a_key_of_another_type_is_said_and_nothing_is_half_written(
    manager: SessionManager, raw: redis.Redis, namespace: str, store: Damaged, damaged: str, calls: list[str]
) -> None:
    key = getattr(store, damaged)
    _replace(raw, key)
    for name in calls:
        before = snapshot(raw, namespace)
        with pytest.raises(CorruptDataError) as caught:
            await CALLS[name](manager, store.session.session_id, store.ids[1])
        assert key.decode() in str(caught.value), name
        if name != "delete_checkpoint":  # delete_checkpoint removes whatever is there
            assert snapshot(raw, namespace) == before, name
    assert await manager.get_session(store.session.session_id) == store.session
    remove_namespace(raw, namespace)


@pytest.mark.parametrize("damage", [*OF_SESSION, "metadata", "no creation"])
async def test_a_listing_leaves_a_damaged_session_out_and_tells_the_log_once(
    manager: SessionManager,
    raw: redis.Redis,
    namespace: str,
    store: Damaged,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    others = await create_sessions(manager, 3, "eve", "bot")
    plants = OF_SESSION | {
        "metadata": (lambda at: at.raw.hset(at.s, "m:tier", "{{"), "s"),
        "no creation": (lambda at: at.raw.hdel(at.s, "created"), "s"),
    }
    plant, key = plants[damage]
    if key == "a":
        plant(store)
        with pytest.raises(CorruptDataError, match="a:bot"):
            await manager.get_sessions_by_agent("bot")
        assert await manager.get_sessions_by_user("ann") == []
    else:
        plant(store)
        listed = [session.session_id for session in await manager.get_sessions_by_agent("bot")]
        left = [] if key == "u" else [store.other.session_id]
        assert sorted(listed) == sorted(left + [session.session_id for session in others])
    assert len(caplog.records) == 1
    assert all(record.name == "agent_sessions" and record.levelname == "ERROR" for record in caplog.records)
    assert getattr(store, key).decode() in caplog.messages[0]
    remove_namespace(raw, namespace)


async def test_a_listing_of_checkpoints_leaves_out_what_cannot_be_read(
    manager: SessionManager, raw: redis.Redis, store: Damaged, caplog: pytest.LogCaptureFixture
) -> None:
    session_id, [first, second, third] = store.session.session_id, store.ids
    raw.hdel(store.c, first)
    raw.hset(store.c, second, "?what")
    raw.hset(store.c, "ckpt_unlisted", "j{}")
    raw.zadd(store.o, {b"ckpt_\xff": 9e15, "ckpt_endless": "inf"})
    raw.hset(store.c, mapping={b"ckpt_\xff": "j{", "ckpt_endless": "j{}"})
    assert [each["checkpoint_id"] for each in await manager.list_checkpoints(session_id)] == [third]
    assert len(caplog.messages) == 4
    for checkpoint_id in (first, second, "ckpt_endless"):
        with pytest.raises(CorruptDataError, match=f"c:{session_id}"):
            await manager.get_checkpoint(session_id, checkpoint_id)
    with pytest.raises(CorruptDataError, match=f"c:{session_id}"):
        await manager.get_latest_checkpoint(session_id)
    assert await manager.get_checkpoint(session_id, "ckpt_unlisted") is None


async def test_an_index_of_another_type_keeps_sessions_from_being_lost(
    manager: SessionManager, raw: redis.Redis, namespace: str, store: Damaged
) -> None:
    """A session is neither half created nor handed over to an agent without an index."""
    raw.set(store.keys.agent_index("broken"), "no index", ex=60)
    raw.set(store.keys.user_index("eve"), "no index", ex=60)
    before = snapshot(raw, namespace)
    for call in (
        manager.create_session("ann", "broken"),
        manager.create_session("eve", "bot"),
        manager.update_session(store.session.session_id, agent_id="broken", metadata={}),
    ):
        with pytest.raises(CorruptDataError, match=r"a:broken|u:eve"):
            await call
    assert snapshot(raw, namespace) == before
    raw.delete(store.keys.agent_index("broken"), store.keys.user_index("eve"))


async def test_metadata_is_not_merged_where_its_size_cannot_be_read(
    manager: SessionManager, raw: redis.Redis, store: Damaged
) -> None:
    raw.hset(store.s, "size", "large")
    with pytest.raises(CorruptDataError, match=f"s:{store.session.session_id}"):
        await manager.update_session_metadata(store.session.session_id, {"a": 1})
    assert await manager.get_session(store.session.session_id) == store.session
    assert await manager.update_session(store.session.session_id, metadata={"a": 1})
    assert await manager.update_session_metadata(store.session.session_id, {"b": 1})


async def test_nothing_pinned_is_pruned_where_the_number_of_pins_cannot_be_read(
    manager: SessionManager, raw: redis.Redis, store: Damaged
) -> None:
    raw.hset(store.s, "pins", "some")
    before = raw.hgetall(store.s)
    for call in (manager.pin_checkpoint, manager.unpin_checkpoint, manager.delete_checkpoint):
        with pytest.raises(CorruptDataError, match=f"s:{store.session.session_id}"):
            await call(store.session.session_id, store.ids[call == manager.pin_checkpoint])
    assert raw.hgetall(store.s) == before
    assert await manager.prune_checkpoints(session_id=store.session.session_id, keep_last=1) == 1
    left = await manager.list_checkpoints(store.session.session_id)
    assert [each["checkpoint_id"] for each in left] == [store.ids[0], store.ids[2]]
    assert await manager.pinned_checkpoints(store.session.session_id) == store.ids[:1]


async def test_previews_and_counts_go_on_past_what_is_damaged(
    manager: SessionManager, raw: redis.Redis, namespace: str, store: Damaged
) -> None:
    for session in await create_sessions(manager, 3, "ann"):
        await save_turns(manager, session.session_id, 4)
    raw.hset(store.s, "expires", "soon")
    _replace(raw, store.keys.checkpoints(store.other.session_id))
    raw.zadd(store.x, {"no member": 1})
    pruned = await manager.jobs.preview(manager.jobs.pruning(keep_last=1))
    deleted = await manager.jobs.preview(manager.jobs.agent_deletion("bot"))
    swept = await manager.jobs.preview(Sweep())
    assert (pruned.sessions, pruned.checkpoints) == (3, 9)
    assert (deleted.sessions, deleted.checkpoints) == (4, 14)
    assert swept.sessions == 1
    await manager.create_session("eve", "other")
    await manager.revoke_agent_sessions("other", grace=60)
    assert await manager.get_active_session_count("ann") == 4
    remove_namespace(raw, namespace)


DAMAGED_RECORDS: dict[str, Callable[[redis.Redis, bytes], Any]] = {
    "no kind": lambda raw, key: raw.hdel(key, "kind"),
    "unknown kind": lambda raw, key: raw.hset(key, "kind", "dance"),
    "params": lambda raw, key: raw.hset(key, "params", "{"),
    "params no object": lambda raw, key: raw.hset(key, "params", "1"),
    "no state": lambda raw, key: raw.hdel(key, "state"),
    "unknown state": lambda raw, key: raw.hset(key, "state", "asleep"),
    "due": lambda raw, key: raw.hset(key, "due", "soon"),
    "joins": lambda raw, key: raw.hdel(key, "joins"),
    "counts": lambda raw, key: raw.hset(key, "removed", "many"),
    "heartbeat": lambda raw, key: raw.hset(key, "heartbeat", "9" * 40),
    "no cut-off": lambda raw, key: raw.hdel(key, "cutoff"),
    "receipt": lambda raw, key: raw.hset(key, "receipt", "{}"),
    "no text": lambda raw, key: raw.hset(key, "reason", b"\xff"),
    "type": lambda raw, key: raw.set(key, "text", ex=60),
}


@pytest.mark.parametrize("damage", DAMAGED_RECORDS)
async def test_a_damaged_job_is_said_with_its_key_and_keeps_no_other_from_its_work(
    open_manager: Opener, raw: redis.Redis, namespace: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    manager = open_manager(stalled_after_seconds=0.001)
    await create_sessions(manager, 2, "ann")
    await create_sessions(manager, 3, "bob")
    broken = await manager.revoke_user_sessions("ann")
    other = await manager.revoke_user_sessions("bob")
    home = manager._context.partitions.home
    DAMAGED_RECORDS[damage](raw, home.job(broken))
    for call in (manager.jobs.progress(broken), manager.jobs.run(broken)):
        with pytest.raises(CorruptDataError, match=f"job:{broken}"):
            await call
    page = await manager.jobs.list()
    assert [job.job_id for job in page.jobs] == [other]
    assert len(caplog.messages) == 1
    raw.zadd(home.jobs, {broken: 1, other: 2}, xx=True)
    assert set(await manager.jobs.take_stalled()) == {broken, other}
    done = await manager.jobs.run(other)
    assert (done.state, done.removed) == (JobState.DONE, 3)
    assert await manager.cleanup_expired_sessions() == 0
    remove_namespace(raw, namespace)
