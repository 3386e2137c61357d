"""Every script is safe to repeat: a lost reply is answered by sending the same call again."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts import batches as batch_scripts
from agent_runtime.manager.scripts import checkpoints as on_checkpoints
from agent_runtime.manager.scripts import jobs as job_scripts
from agent_runtime.manager.scripts import proofs as proof_scripts
from agent_runtime.manager.scripts import sessions as scripts
from agent_runtime.manager.scripts.batches import BatchReply, Selection
from agent_runtime.manager.scripts.jobs import BeginReply
from agent_runtime.manager.scripts.proofs import AppendReply
from agent_runtime.manager.scripts.replies import StoredSession
from agent_runtime.manager.scripts.sessions import Created
from agent_runtime.manager.transport.script_client import ScriptClient
from tests.support.jobs import open_pruning, open_sweep
from tests.support.keyspace import snapshot
from tests.support.sessions import let_expire

FAR_MS = 4_000_000_000_000


class Place(NamedTuple):
    """Target of a write: a live session of ann with bot that has two checkpoints."""

    store: ScriptClient
    keys: Keys
    session_id: str
    checkpoint_id: str


_PERIODS = job_scripts.Periods(retention_ms=60_000, silence_ms=1_000)

Write = Callable[[Place], Awaitable[Any]]


class IsInstance:
    """Equal to every object of a class."""

    def __init__(self, cls: type) -> None:
        self._cls = cls

    def __eq__(self, other: object) -> bool:
        return isinstance(other, self._cls)


def _create(place: Place) -> Awaitable[Any]:
    new = scripts.EncodedSession("sess_new", "ann", "bot", 2, [b"m:a", b"1"])
    return scripts.create_sessions(place.store, place.keys, [new], ttl_ms=60_000, max_sessions=10)


def _update(place: Place) -> Awaitable[Any]:
    return scripts.update_session(
        place.store,
        place.keys,
        session_id=place.session_id,
        agent_id="other",
        expires_ms=FAR_MS,
        metadata_size=2,
        metadata=[b"m:b", b"2"],
    )


def _merge(place: Place) -> Awaitable[Any]:
    return scripts.merge_metadata(
        place.store, place.keys, session_id=place.session_id, max_bytes=99, metadata=[b"m:c", b"3"]
    )


def _save(place: Place) -> Awaitable[Any]:
    new = on_checkpoints.EncodedCheckpoint(place.session_id, "ckpt_new", b"j{}", pin=False)
    return on_checkpoints.save_checkpoints(place.store, place.keys, [new])


def _save_pinned_under_a_bound(place: Place) -> Awaitable[Any]:
    new = on_checkpoints.EncodedCheckpoint(place.session_id, "ckpt_new", b"j{}", pin=True)
    return on_checkpoints.save_checkpoints(place.store, place.keys, [new], max_unpinned=1)


def _open(place: Place, selection: Selection) -> Awaitable[Any]:
    return job_scripts.open_job(
        place.store,
        place.keys,
        job_scripts.Work("some_work", "{}", selection),
        job_scripts.Request("job_mine", details=["reason", "asked"]),
        _PERIODS,
        join=True,
        has_other_parts=True,
    )


def _open_deletion(place: Place) -> Awaitable[Any]:
    return _open(place, Selection(place.keys.user_index("ann"), "all", "u", "ann"))


def _open_work(place: Place) -> Awaitable[Any]:
    return _open(place, Selection(place.keys.expiry_index, "live"))


async def _open_part(place: Place) -> tuple[int, str]:
    selection = Selection(place.keys.agent_index("bot"), "all", "a", "bot")
    work = job_scripts.Work("some_work", "{}", selection)
    added, _, fields = await job_scripts.open_part(
        place.store, place.keys, work, "job_mine", number=1, grace_ms=0, retention_ms=60_000
    )
    return added, fields["total"]


async def _mark_opened(place: Place) -> bool:
    fields = await job_scripts.mark_opened(
        place.store, place.keys, "job_unmarked", "request", added=7, kept_ms=60_000, silence_ms=1_000
    )
    return "opening" in fields


def _control(action: str) -> Write:
    async def control(place: Place) -> tuple[bool, str]:
        is_allowed, fields = await job_scripts.control_job(
            place.store, place.keys, "job_unmarked", spec="some_work:{}", action=action, periods=_PERIODS
        )
        return is_allowed, fields["state"]

    return control


async def _begin(place: Place, token: str = "mine", number: int = 1, silence_ms: int = 60_000) -> Any:
    answer = await job_scripts.begin_slice(
        place.store,
        place.keys,
        "job_running",
        shard=0,
        number=number,
        token=token,
        silence_ms=silence_ms,
        elsewhere=job_scripts.NOWHERE,
    )
    return answer.reply, answer.number, answer.attempts, answer.fields.get("state")


async def _begin_behind_one_that_died(place: Place) -> Any:
    await _begin(place)
    return await _begin(place, "other", 2, silence_ms=0)


async def _end(place: Place) -> str:
    await _begin(place)
    fields = await job_scripts.end_slice(place.store, place.keys, "job_running", shard=0, token="mine")
    return fields["state"]


def _end_refused(max_attempts: int) -> Write:
    async def end(place: Place) -> tuple[str, str]:
        await _begin(place)
        fields = await job_scripts.end_slice(
            place.store,
            place.keys,
            "job_running",
            shard=0,
            token="mine",
            reason="why",
            max_attempts=max_attempts,
            retention_ms=60_000,
        )
        return fields["state"], fields["attempts"]

    return end


async def _close(place: Place) -> tuple[bool, str]:
    is_closed, fields = await job_scripts.close_to_joins(
        place.store, place.keys, "job_running", spec="some_work:{}", joins="1"
    )
    return is_closed, fields["state"]


async def _complete(place: Place) -> tuple[str, str]:
    fields = await job_scripts.complete_job(
        place.store, place.keys, "job_running", retention_ms=60_000, receipt="{}"
    )
    return fields["state"], fields["receipt"]


def _append(place: Place) -> Awaitable[Any]:
    return proof_scripts.append_receipt(
        place.store, place.keys, "job_running", "{}", last=0, retention_ms=60_000, drop_to=0
    )


async def _read_chain(place: Place) -> str:
    chain = await proof_scripts.read_chain(place.store, place.keys, offered="offered", keep_ms=60_000)
    return chain.secret


# Each write with its first and its second answer.
WRITES: dict[str, tuple[Write, Any, Any]] = {
    "create_sessions": (_create, [IsInstance(Created)], [IsInstance(StoredSession)]),
    "update_session": (_update, True, True),
    "merge_metadata": (_merge, True, True),
    "save_checkpoints": (_save, [True], [True]),
    "save_checkpoints pinned, under a bound": (_save_pinned_under_a_bound, [True], [True]),
    "pin_checkpoint": (
        lambda p: on_checkpoints.pin_checkpoint(p.store, p.keys, p.session_id, p.checkpoint_id),
        True,
        True,
    ),
    "delete_sessions": (
        lambda p: scripts.delete_sessions(p.store, p.keys, [p.session_id]),
        [True],
        [True],
    ),
    "delete_checkpoint": (
        lambda p: on_checkpoints.delete_checkpoint(p.store, p.keys, p.session_id, p.checkpoint_id),
        True,
        True,
    ),
    "clear_checkpoints": (
        lambda p: on_checkpoints.clear_checkpoints(p.store, p.keys, p.session_id),
        2,
        2,
    ),
    "open_job, a deletion": (_open_deletion, ..., ...),
    "open_job, other work": (_open_work, ..., ...),
    "open_part": (_open_part, (1, "1"), (1, "1")),
    "mark_opened": (_mark_opened, False, False),
    "begin_slice": (_begin, ("BEGUN", 1, 0, "running"), ("BEGUN", 1, 0, "running")),
    "begin_slice, behind one that died": (
        _begin_behind_one_that_died,
        ("BEGUN", 2, 1, "running"),
        ("BEGUN", 2, 1, "running"),
    ),
    "end_slice": (_end, "running", "running"),
    "end_slice, refused": (_end_refused(2), ("running", "1"), ("running", "1")),
    "end_slice, refused once too often": (_end_refused(1), ("failed", "1"), ("failed", "1")),
    "close_to_joins": (_close, (True, "running"), (True, "running")),
    "complete_job": (_complete, ("done", "{}"), ("done", "{}")),
    "append_receipt": (_append, AppendReply.APPENDED, AppendReply.KNOWN),
    "read_chain": (_read_chain, "offered", "offered"),
    "control_job, pause": (_control("pause"), (True, "paused"), (True, "paused")),
    "control_job, cancel": (_control("cancel"), (True, "cancelled"), (True, "cancelled")),
    "control_job, undo": (_control("undo"), (True, "undoing"), (True, "undoing")),
}


@pytest.fixture
async def place(manager: SessionManager, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Place:
    # A repeated call is sent unchanged, with the same key for its answer.
    monkeypatch.setattr(Keys, "new_answer", lambda keys: keys.prefix + b"answer:same")
    session = await manager.create_session("ann", "bot", {"kept": 1})
    ids = [await manager.save_checkpoint(session.session_id, {"turn": turn}) for turn in range(2)]
    unmarked = {"kind": "some_work", "state": "queued", "due": 0, "opening": "request"}
    raw.hset(manager._context.partitions.home.job("job_unmarked"), mapping=unmarked)
    running = {"kind": "some_work", "state": "running", "due": 0, "joins": 1, "done": 0, "heartbeat": 0}
    raw.hset(manager._context.partitions.home.job("job_running"), mapping=running)
    for job_id in ("job_unmarked", "job_running"):
        raw.expire(manager._context.partitions.home.job(job_id), 60)
    raw.set(manager._context.partitions.home.open_job("some_work:{}"), "job_running", ex=60)
    raw.zadd(manager._context.partitions.home.jobs, {"job_running": 1})
    raw.expire(manager._context.partitions.home.jobs, 60)
    return Place(manager._context.client, manager._context.partitions.home, session.session_id, ids[0])


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_repeated_with_the_same_ids_changes_nothing_more(
    place: Place, raw: redis.Redis, namespace: str, name: str
) -> None:
    write, first_answer, second_answer = WRITES[name]
    untouched = snapshot(raw, namespace)
    first = await write(place)
    written = snapshot(raw, namespace)
    second = await write(place)
    assert written != untouched
    assert snapshot(raw, namespace) == written
    if first_answer is ...:
        assert first == second
    else:
        assert (first, second) == (first_answer, second_answer)


async def test_what_came_after_a_clearing_survives_its_repetition(
    manager: SessionManager, place: Place
) -> None:
    for _ in range(2):
        assert await on_checkpoints.clear_checkpoints(place.store, place.keys, place.session_id) == 2
        later = on_checkpoints.EncodedCheckpoint(place.session_id, "ckpt_later", b"j{}", pin=False)
        await on_checkpoints.save_checkpoints(place.store, place.keys, [later])
    [left] = await manager.list_checkpoints(place.session_id)
    assert left["checkpoint_id"] == "ckpt_later"


@pytest.mark.parametrize("how", ["merged", "replaced"])
async def test_what_others_changed_meanwhile_survives_a_repetition(
    manager: SessionManager, place: Place, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A search for a linear order of merges over broken connections found this bug."""
    write = _merge if how == "merged" else _update
    assert await write(place) is True
    with monkeypatch.context() as other_call:
        other_call.setattr(Keys, "new_answer", lambda keys: keys.prefix + b"answer:other")
        assert await manager.update_session_metadata(place.session_id, {"b": "later", "c": "later"})
    assert await write(place) is True
    session = await manager.get_session(place.session_id)
    assert session is not None
    assert (session.metadata["b"], session.metadata["c"]) == ("later", "later")


async def test_a_refresh_repeated_only_moves_the_end(
    manager: SessionManager, place: Place, raw: redis.Redis, namespace: str
) -> None:
    before = await manager.get_session(place.session_id)
    for _ in range(2):
        assert await scripts.refresh_session(place.store, place.keys, place.session_id, 7_200_000)
    after = await manager.get_session(place.session_id)
    assert before is not None
    assert after is not None
    assert after.model_copy(update={"expires_at": before.expires_at}) == before
    assert raw.zcard(f"{namespace}:{{0}}:x") == 1


def _batch(place: Place, kind: str, job_id: str) -> Awaitable[BatchReply]:
    """Run one batch of a job on five sessions or checkpoints."""
    if kind in ("deletion", "undo"):
        target = Selection(place.keys.user_index("ann"), "all", "u", "ann")
        do = batch_scripts.reclaim_batch if kind == "deletion" else batch_scripts.restore_batch
        return do(place.store, place.keys, target, job_id=job_id, limit=5)
    if kind == "sweep":
        return batch_scripts.sweep_batch(place.store, place.keys, job_id=job_id, limit=5)
    policy: dict[str, Any] = {"keep_last": 1, "max_age_us": "", "job_id": job_id, "limit": 5}
    if kind == "pruning":
        target = Selection(place.keys.expiry_index, "live")
        return batch_scripts.prune_batch(place.store, place.keys, target, except_agents="[]", **policy)
    return batch_scripts.prune_session(place.store, place.keys, session_id=place.session_id, **policy)


@pytest.mark.parametrize("kind", ["deletion", "undo", "sweep", "pruning", "pruning of a session"])
async def test_batches_repeated_beyond_the_end_count_nothing_twice(
    manager: SessionManager, place: Place, raw: redis.Redis, namespace: str, kind: str
) -> None:
    sessions = [await manager.create_session("ann", "bot") for _ in range(11)]
    for session in sessions * 3:
        await manager.save_checkpoint(session.session_id, {})
    if kind in ("deletion", "undo"):
        job_id = await manager.revoke_user_sessions("ann")
        if kind == "undo":
            await manager.jobs.control(job_id, "undo")
    elif kind == "sweep":
        await let_expire(manager, *sessions)
        job_id = await open_sweep(manager)
    else:
        only = place.session_id if kind == "pruning of a session" else None
        job_id = await open_pruning(manager, session_id=only, keep_last=1)
    while await _batch(place, kind, job_id) is BatchReply.MORE:
        pass
    done = snapshot(raw, namespace)
    assert {await _batch(place, kind, job_id) for _ in range(3)} == {BatchReply.END}
    assert snapshot(raw, namespace) == done
    progress = await manager.jobs.progress(job_id)
    counted = {"deletion": 12, "undo": 12, "sweep": 11, "pruning": 23, "pruning of a session": 1}[kind]
    assert (progress.restored if kind == "undo" else progress.removed) == counted


async def test_of_two_messages_for_one_slice_the_later_is_void(place: Place) -> None:
    assert await _begin(place, "first") == (BeginReply.BEGUN, 1, 0, "running")
    assert await _begin(place, "second") == (BeginReply.REPEATED, 0, 0, None)
