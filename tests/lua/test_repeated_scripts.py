"""Every script is safe to repeat: a lost reply is answered by sending the same call again."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import redis

from manager import SessionManager, job_scripts, scripts
from manager.keys import Keys
from manager.store import Store
from tests.support.keyspace import snapshot
from tests.support.sessions import let_expire

FAR_MS = 4_000_000_000_000


class Place(NamedTuple):
    """Where a write goes: a live session with two checkpoints, of ann with bot."""

    store: Store
    keys: Keys
    session_id: str
    checkpoint_id: str


Write = Callable[[Place], Awaitable[Any]]


def _create(place: Place) -> Awaitable[Any]:
    return scripts.create_session(
        place.store,
        place.keys,
        session_id="sess_new",
        user_id="ann",
        agent_id="bot",
        ttl_ms=60_000,
        max_sessions=10,
        metadata_size=2,
        metadata=[b"m:a", b"1"],
    )


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
    return scripts.save_checkpoint(place.store, place.keys, place.session_id, "ckpt_new", b"j{}")


def _detach(place: Place) -> Awaitable[Any]:
    return job_scripts.detach_index(
        place.store,
        place.keys,
        index=place.keys.user_index("ann"),
        detached=place.keys.detached_users(),
        job_id="job_mine",
        kind="delete_user_sessions",
        params='{"target": "ann"}',
        opened=False,
        retention_ms=60_000,
    )


def _open(place: Place) -> Awaitable[Any]:
    return job_scripts.open_job(
        place.store,
        place.keys,
        index=place.keys.expiry_index,
        job_id="job_mine",
        kind="prune_checkpoints",
        params='{"keep_last": 1}',
        retention_ms=60_000,
        works_on="live",
        join=True,
        opened=False,
    )


async def _mark_opened(place: Place) -> None:
    await job_scripts.mark_opened(place.store, place.keys, "job_unmarked", deletes=False)


# Each with what it answers the first and the second time.
WRITES: dict[str, tuple[Write, Any, Any]] = {
    "create_session": (_create, ..., ...),
    "update_session": (_update, True, True),
    "merge_metadata": (_merge, True, True),
    "save_checkpoint": (_save, True, True),
    "delete_session": (lambda p: scripts.delete_session(p.store, p.keys, p.session_id), True, False),
    "delete_checkpoint": (
        lambda p: scripts.delete_checkpoint(p.store, p.keys, p.session_id, p.checkpoint_id),
        True,
        False,
    ),
    "clear_checkpoints": (lambda p: scripts.clear_checkpoints(p.store, p.keys, p.session_id), 2, 0),
    "detach_index": (_detach, None, None),
    "open_job": (_open, "job_mine", "job_mine"),
    "mark_opened": (_mark_opened, None, None),
}


@pytest.fixture
async def place(manager: SessionManager, raw: redis.Redis) -> Place:
    session = await manager.create_session("ann", "bot", {"kept": 1})
    ids = [await manager.save_checkpoint(session.session_id, {"turn": turn}) for turn in range(2)]
    raw.hset(manager._partitions.home.job("job_unmarked"), "opened", 0)
    raw.expire(manager._partitions.home.job("job_unmarked"), 60)
    return Place(manager._store, manager._partitions.home, session.session_id, ids[0])


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


def _batch(place: Place, kind: str, job_id: str) -> Awaitable[bool]:
    """One batch of a job on five sessions or checkpoints."""
    common = {"job_id": job_id, "limit": 5, "retention_ms": 60_000}
    policy = {"keep_last": 1, "max_age_us": ""}
    if kind == "deletion":
        detached = place.keys.detached_users()
        return job_scripts.reclaim_batch(place.store, place.keys, detached=detached, **common)
    if kind == "sweep":
        return job_scripts.sweep_batch(place.store, place.keys, **common)
    if kind == "pruning":
        index = place.keys.expiry_index
        return job_scripts.prune_batch(place.store, place.keys, index=index, **policy, **common)
    session_id = place.session_id
    return job_scripts.prune_session(place.store, place.keys, session_id=session_id, **policy, **common)


@pytest.mark.parametrize("kind", ["deletion", "sweep", "pruning", "pruning of a session"])
async def test_batches_repeated_beyond_the_end_count_nothing_twice(
    manager: SessionManager, place: Place, raw: redis.Redis, namespace: str, kind: str
) -> None:
    sessions = [await manager.create_session("ann", "bot") for _ in range(11)]
    for session in sessions * 3:
        await manager.save_checkpoint(session.session_id, {})
    ledger = manager.ledger
    if kind == "deletion":
        job_id = await manager.revoke_user_sessions("ann")
    elif kind == "sweep":
        await let_expire(manager, *sessions)
        job_id = await ledger.open_sweep(join=False)
    else:
        only = place.session_id if kind == "pruning of a session" else None
        job_id = await ledger.open_pruning(manager.prune_policy(session_id=only, keep_last=1), join=False)
    while await _batch(place, kind, job_id):
        pass
    done = snapshot(raw, namespace)
    assert not any([await _batch(place, kind, job_id) for _ in range(3)])
    assert snapshot(raw, namespace) == done
    removed = (await ledger.progress(job_id)).removed
    assert removed == {"deletion": 12, "sweep": 11, "pruning": 23, "pruning of a session": 1}[kind]
