"""A job whose batch is refused again and again fails, says why, and can be taken up once that is mended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import redis

from agent_runtime.manager import CorruptDataError, SessionManager
from agent_runtime.manager.jobs import JobProgress, JobState, UserDeletion
from tests.support.jobs import open_pruning, open_sweep
from tests.support.sessions import create_sessions, let_expire, save_turns, turns

Opener = Callable[..., SessionManager]

PARTITIONS = pytest.mark.parametrize("partitions", [1, 4])


@contextmanager
def _in_the_way(raw: redis.Redis, key: bytes) -> Iterator[None]:
    """Put a key of the wrong type in the place of another, which comes back at the end."""
    aside = key + b":aside"
    raw.rename(key, aside)
    raw.set(key, "of another type", ex=60)
    yield
    raw.rename(aside, key)


async def _run_until_failed(manager: SessionManager, job_id: str, tries: int) -> JobProgress:
    for _ in range(tries - 1):
        with pytest.raises(CorruptDataError, match="WRONGTYPE"):
            await manager.jobs.run(job_id)
    return await manager.jobs.run(job_id)


def _revoked_set(raw: redis.Redis, manager: SessionManager, job_id: str) -> bytes:
    """The key in which one partition keeps what the deletion took away."""
    keys = (each.prefix + f"revoked:{job_id}:1".encode() for each in manager._context.partitions.all)
    return next(key for key in keys if raw.exists(key))


@PARTITIONS
async def test_a_job_fails_after_so_many_refusals_in_a_row(
    open_manager: Opener, raw: redis.Redis, partitions: int
) -> None:
    manager = open_manager(partitions=partitions, max_attempts=3)
    sessions = [each for user in range(8) for each in await create_sessions(manager, 3, f"user_{user}")]
    for session in sessions:
        await save_turns(manager, session.session_id, 2)
    job_id = await manager.revoke_agent_sessions("bot")
    with _in_the_way(raw, _revoked_set(raw, manager, job_id)):
        failed = await _run_until_failed(manager, job_id, 3)

        assert failed.state is JobState.FAILED
        assert "WRONGTYPE" in str(failed.error)
        assert failed.finished_at is not None
        assert failed.receipt is None
        assert failed.removed < 24
        assert await manager.get_sessions_by_agent("bot") == []
        home = (await manager.jobs.read(job_id)).home.keys
        assert raw.zscore(home.jobs, job_id) is None
        assert await manager.jobs.run(job_id) == failed
    resumed = await manager.jobs.control(job_id, "resume")
    assert (resumed.state, resumed.error, resumed.finished_at) == (JobState.QUEUED, None, None)
    done = await manager.jobs.run(job_id)
    assert (done.state, done.total, done.done, done.removed) == (JobState.DONE, 24, 24, 24)
    assert done.receipt is not None
    assert (done.receipt.sessions, done.receipt.checkpoints) == (24, 48)


async def test_a_job_that_is_resumed_too_soon_fails_again(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(max_attempts=2)
    await create_sessions(manager, 1)
    job_id = await manager.revoke_user_sessions("ann")
    with _in_the_way(raw, _revoked_set(raw, manager, job_id)):
        for _ in range(2):
            failed = await _run_until_failed(manager, job_id, 2)
            assert failed.state is JobState.FAILED
            assert "WRONGTYPE" in str(failed.error)
            await manager.jobs.control(job_id, "resume")
    assert (await manager.jobs.run(job_id)).removed == 1


@pytest.mark.parametrize("index", ["agent", "expiry"])
async def test_an_index_that_is_none_does_not_keep_a_deletion_from_the_other_sessions(
    manager: SessionManager, raw: redis.Redis, index: str
) -> None:
    await create_sessions(manager, 5, "ann", "bot")
    await create_sessions(manager, 5, "ann", "other")
    job_id = await manager.revoke_user_sessions("ann")
    keys = manager._context.partitions.home
    raw.set({"agent": keys.agent_index("other"), "expiry": keys.expiry_index}[index], "no index", ex=60)
    done = await manager.jobs.run(job_id)
    for key in (keys.agent_index("other"), keys.expiry_index):
        raw.delete(key)
    assert (done.state, done.done, done.removed) == (JobState.DONE, 10, 10)


@pytest.mark.parametrize("of", ["all", "agent", "one"])
@pytest.mark.parametrize("what", ["checkpoints", "order", "session", "expires", "user index"])
async def test_a_pruning_leaves_out_what_it_cannot_read_and_counts_it(
    open_manager: Opener, raw: redis.Redis, what: str, of: str
) -> None:
    manager = open_manager(max_attempts=3)
    sessions = await create_sessions(manager, 5)
    strange = (await create_sessions(manager, 1, "bob"))[0].session_id
    for session_id in [*(session.session_id for session in sessions), strange]:
        await save_turns(manager, session_id, 4)
    keys = manager._context.partitions.home
    target = {"agent": {"agent_id": "bot"}, "one": {"session_id": strange}}.get(of, {})
    job_id = await open_pruning(manager, keep_last=1, **target)
    if what == "expires":
        raw.hset(keys.session(strange), "expires", "soon")
        done = await manager.jobs.run(job_id)
        raw.hset(keys.session(strange), "expires", raw.hget(keys.session(sessions[0].session_id), "expires"))
    else:
        key = {
            "checkpoints": keys.checkpoints(strange),
            "order": keys.checkpoint_order(strange),
            "session": keys.session(strange),
            "user index": keys.user_index("bob"),
        }[what]
        with _in_the_way(raw, key):
            done = await manager.jobs.run(job_id)
    others = 0 if of == "one" else 5
    assert (done.state, done.done) == (JobState.DONE, others + 1)
    assert (done.removed, done.damaged) == (3 * others, 1)
    assert await turns(manager, strange) == [0, 1, 2, 3]


async def test_a_sweep_goes_on_past_what_it_cannot_read(manager: SessionManager, raw: redis.Redis) -> None:
    sessions = await create_sessions(manager, 3) + await create_sessions(manager, 3, "bob")
    await let_expire(manager, *sessions)
    keys = manager._context.partitions.home
    raw.zadd(keys.expiry_index, {"no member": 1, "": 1, "sess_1 99 bob": 1})
    raw.set(keys.user_index("bob"), "no index", ex=60)
    done = await manager.jobs.run(await open_sweep(manager))
    assert (done.state, done.removed) == (JobState.DONE, 9)
    assert raw.zcard(keys.expiry_index) == 0
    raw.delete(keys.user_index("bob"))


async def test_progress_between_two_refusals_begins_the_count_anew(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(max_attempts=3)
    await create_sessions(manager, 6)
    job_id = await manager.revoke_user_sessions("ann")
    job = await manager.jobs.read(job_id)
    batch = partial(job.spec.batch, manager._context.client, job.home.keys, job_id)
    for _ in range(2):
        with _in_the_way(raw, _revoked_set(raw, manager, job_id)):
            for _ in range(2):
                with pytest.raises(CorruptDataError):
                    await manager.jobs.run(job_id)
        await batch(2)
    done = await manager.jobs.run(job_id)
    assert (done.state, done.removed, done.error) == (JobState.DONE, 6, None)


async def test_other_jobs_go_on_beside_one_that_fails(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(max_attempts=1, stalled_after_seconds=0.001)
    await create_sessions(manager, 1)
    await create_sessions(manager, 4, "bob")
    failing = await manager.revoke_user_sessions("ann")
    other = await manager.revoke_user_sessions("bob")
    with _in_the_way(raw, _revoked_set(raw, manager, failing)):
        raw.zadd(manager._context.partitions.home.jobs, {failing: 1, other: 2}, xx=True)
        assert await manager.jobs.take_stalled() == [failing, other]
        ended = [await manager.jobs.run(job_id) for job_id in (failing, other)]
        assert [each.state for each in ended] == [JobState.FAILED, JobState.DONE]
        raw.zadd(manager._context.partitions.home.jobs, {failing: 1, other: 2}, xx=True)
        assert await manager.jobs.take_stalled() == []
        await create_sessions(manager, 2)
        assert await manager.delete_user_sessions("ann") == 2
    await manager.jobs.control(failing, "resume")
    assert (await manager.jobs.run(failing)).removed == 1


async def test_a_job_that_was_stopped_is_not_failed_by_a_late_refusal(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(max_attempts=1)
    await create_sessions(manager, 1)
    job_id = await manager.revoke_user_sessions("ann")
    run = await manager.jobs._runner._begin(job_id, 0, None)
    assert run is not None
    await manager.jobs.control(job_id, "pause")
    with _in_the_way(raw, _revoked_set(raw, manager, job_id)):
        assert (await manager.jobs.run(job_id)).state is JobState.PAUSED
        run.job = await manager.jobs.read(job_id)
        await manager.jobs._runner._fail(run, "late")
    assert (await manager.jobs.progress(job_id)).state is JobState.PAUSED
    await manager.jobs.control(job_id, "resume")
    assert (await manager.jobs.run(job_id)).removed == 1


@pytest.mark.parametrize("action", ["undo", "resume"])
async def test_an_undo_that_is_refused_fails_and_goes_on_when_it_is_mended(
    open_manager: Opener, raw: redis.Redis, action: str
) -> None:
    """It goes on as an undo, never as the deletion."""
    manager = open_manager(max_attempts=2)
    await create_sessions(manager, 3)
    work = UserDeletion("ann")
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    index = work.selection_in(manager._context.partitions.home).index_key
    await manager.jobs.control(job_id, "undo")
    raw.set(index, "of another type", ex=60)
    assert (await _run_until_failed(manager, job_id, 2)).state is JobState.FAILED
    raw.delete(index)
    assert (await manager.jobs.control(job_id, action)).state is JobState.UNDOING
    undone = await manager.jobs.run(job_id)
    assert (undone.state, undone.restored) == (JobState.UNDONE, 3)
    assert len(await manager.get_sessions_by_user("ann")) == 3


async def test_a_job_whose_end_is_refused_fails_too_and_ends_when_it_is_mended(
    open_manager: Opener, raw: redis.Redis
) -> None:
    """All sessions are gone, and the receipt cannot be written."""
    manager = open_manager(max_attempts=3)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    receipts = manager._context.partitions.home.receipts
    raw.set(receipts, "no chain", ex=60)
    failed = await _run_until_failed(manager, job_id, 3)
    raw.delete(receipts)
    assert (failed.state, failed.removed, failed.receipt) == (JobState.FAILED, 3, None)
    assert "WRONGTYPE" in str(failed.error)
    await manager.jobs.control(job_id, "resume")
    done = await manager.jobs.run(job_id)
    assert (done.state, done.removed, done.error) == (JobState.DONE, 3, None)
    assert done.receipt is not None
    assert done.receipt.sessions == 3
