"""Data that somebody else has damaged is told by a CorruptDataError that names its key."""

import pytest
import redis

from agent_runtime.manager import CorruptDataError, SessionManager
from tests.support.jobs import open_sweep, receipts_of
from tests.support.leftovers import remove_namespace
from tests.support.sessions import create_sessions, save_turns


@pytest.mark.parametrize("score", [1e300, float("inf")])
async def test_a_checkpoint_with_a_moment_that_is_none(
    manager: SessionManager, raw: redis.Redis, namespace: str, score: float
) -> None:
    """A listing went on at the whole part of the score, and so for ever."""
    [session] = await create_sessions(manager, 1)
    [checkpoint_id] = await save_turns(manager, session.session_id, 1)
    key = f"{namespace}:{{0}}:o:{session.session_id}"
    raw.zadd(key, {checkpoint_id: score})
    assert await manager.list_checkpoints(session.session_id) == []
    with pytest.raises(CorruptDataError, match=session.session_id):
        await manager.get_latest_checkpoint(session.session_id)


async def test_a_checkpoint_with_a_moment_that_nobody_wrote_is_listed_once(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    [session] = await create_sessions(manager, 1)
    [checkpoint_id] = await save_turns(manager, session.session_id, 1)
    raw.zadd(f"{namespace}:{{0}}:o:{session.session_id}", {checkpoint_id: 1.5})
    [found] = await manager.list_checkpoints(session.session_id)
    assert found["checkpoint_id"] == checkpoint_id


async def test_a_checkpoint_whose_data_is_gone(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    [session] = await create_sessions(manager, 1)
    [checkpoint_id] = await save_turns(manager, session.session_id, 1)
    raw.hdel(f"{namespace}:{{0}}:c:{session.session_id}", checkpoint_id)
    with pytest.raises(CorruptDataError, match=session.session_id):
        await manager.get_checkpoint(session.session_id, checkpoint_id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", "x"),
        ("kind", "x"),
        ("params", "{"),
        ("params", "[]"),
        ("total", "x"),
        ("due", "1e400"),
        ("requested", "9" * 30),
        ("heartbeat", ""),
        ("joins", "x"),
        ("reason", b"\xff"),
        ("receipt", "{}"),
    ],
)
async def test_a_job_whose_record_is_none(
    manager: SessionManager, raw: redis.Redis, namespace: str, field: str, value: str | bytes
) -> None:
    job_id = await open_sweep(manager)
    raw.hset(f"{namespace}:{{0}}:job:{job_id}", field, value)
    for call in (manager.jobs.progress, manager.jobs.read, manager.jobs.run):
        with pytest.raises(CorruptDataError, match=job_id):
            await call(job_id)


async def test_an_open_job_whose_id_is_no_text_does_not_keep_the_lifeline_from_others(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    job_id = await open_sweep(manager)
    jobs = f"{namespace}:{{0}}:jobs"
    raw.zadd(jobs, {b"\xff": 1, job_id: 2})
    raw.hset(f"{namespace}:{{0}}:job:".encode() + b"\xff", "state", "queued")
    assert job_id in await manager.jobs.take_stalled()
    remove_namespace(raw, namespace)


async def test_a_chain_of_receipts_whose_end_has_no_whole_number(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    """The next receipt was made for the whole part of the number, again and again, for ever."""
    await manager.delete_user_sessions("ann")
    [receipt] = await receipts_of(manager)
    key = f"{namespace}:{{0}}:receipts"
    raw.zadd(key, {receipt.model_dump_json(): 1.5})
    with pytest.raises(CorruptDataError, match="receipts"):
        await manager.delete_user_sessions("bob")
    with pytest.raises(CorruptDataError, match="receipts"):
        await manager.jobs.receipts.verify()
