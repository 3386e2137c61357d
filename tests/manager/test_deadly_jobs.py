"""A job fails after so many attempts in a row that came to nothing, and never if it makes progress in
between.

Here a process dies by beginning a slice and doing nothing more. Real processes die in
`tests/scenarios/test_deadly_jobs.py`; attempts that the server refuses are in `test_failing_jobs.py`.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest
import redis

from agent_runtime.manager import CorruptDataError, SessionManager
from agent_runtime.manager.jobs import JobProgress, JobState
from tests.support.jobs import open_pruning, open_sweep, steps_of
from tests.support.sessions import create_sessions, let_expire, save_turns

Opener = Callable[..., SessionManager]


async def _let_silence_pass(manager: SessionManager, raw: redis.Redis, job_id: str) -> None:
    """Make the marks of slices so old that the slices count as dead."""
    job = await manager.jobs.read(job_id)
    for name, mark in job.home.fields.items():
        if name.startswith("attempt:"):
            raw.hset(job.home.keys.job(job_id), name, "1 " + mark.partition(" ")[2])


async def _die(manager: SessionManager, raw: redis.Redis, job_id: str, shard: int = 0) -> JobProgress:
    """Let a process begin a slice and die. Return what it has seen of the job."""
    run = await manager.jobs._runner._begin(job_id, shard, None)
    assert run is not None
    await _let_silence_pass(manager, raw, job_id)
    return run.job.progress()


async def _die_until_failed(
    manager: SessionManager, raw: redis.Redis, job_id: str, deaths: int
) -> JobProgress:
    for _ in range(deaths):
        assert (await _die(manager, raw, job_id)).state in (JobState.RUNNING, JobState.UNDOING)
    return await manager.jobs.run(job_id)


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_job_fails_after_so_many_deaths_in_a_row_and_can_be_resumed(
    open_manager: Opener, raw: redis.Redis, partitions: int
) -> None:
    manager = open_manager(partitions=partitions, max_attempts=3)
    for user in range(8):
        for session in await create_sessions(manager, 3, f"user_{user}"):
            await save_turns(manager, session.session_id, 2)
    job_id = await manager.revoke_agent_sessions("bot")
    for _ in range(2):  # resumed too soon, it fails again, after as many
        failed = await _die_until_failed(manager, raw, job_id, 3)

        assert failed.state is JobState.FAILED
        where = "partition 0" if partitions == 1 else "4 partitions"
        assert str(failed.error).startswith("3 attempts in a row came to nothing: the process of the last")
        assert f"reclaiming sessions in {where}, with 0 of 24 sessions done" in str(failed.error)
        assert failed.finished_at is not None
        assert await manager.get_sessions_by_agent("bot") == []
        home = (await manager.jobs.read(job_id)).home.keys
        assert raw.zscore(home.jobs, job_id) is None
        assert await manager.jobs.run(job_id) == failed
        resumed = await manager.jobs.control(job_id, "resume")
        assert (resumed.state, resumed.error, resumed.finished_at) == (JobState.QUEUED, None, None)
    done = await manager.jobs.run(job_id)
    assert (done.state, done.done, done.removed, done.error) == (JobState.DONE, 24, 24, None)
    assert done.receipt is not None
    assert (done.receipt.sessions, done.receipt.checkpoints, done.receipt.residue.sessions) == (24, 48, 0)


async def test_a_failed_job_is_kept_in_all_its_parts(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(partitions=2, max_attempts=1)
    await create_sessions(manager, 2)
    job_id = await manager.revoke_agent_sessions("bot")
    await _die(manager, raw, job_id)
    parts = [part.keys.job(job_id) for part in (await manager.jobs.read(job_id)).parts]
    for key in parts:
        raw.expire(key, 60)
    assert (await manager.jobs.run(job_id)).state is JobState.FAILED
    assert min(map(raw.ttl, parts)) > 600_000
    await manager.jobs.control(job_id, "resume")
    assert (await manager.jobs.run(job_id)).removed == 2


@pytest.mark.parametrize("partitions", [1, 2])
async def test_deaths_with_anything_done_in_between_never_fail_a_job(
    open_manager: Opener, raw: redis.Redis, partitions: int
) -> None:
    """With parts in several partitions, also what is done far from the record of the deaths."""
    manager = open_manager(partitions=partitions, max_attempts=2)
    users = {manager._context.partitions.of_user(user).number: user for user in "abcdefghijklmnop"}
    for user in users.values():
        await create_sessions(manager, 12, user)
    job_id = await manager.revoke_agent_sessions("bot")
    job = await manager.jobs.read(job_id)
    batch = partial(job.spec.batch, manager._context.client, job.parts[-1].keys, job_id)
    for _ in range(5):
        for _ in range(2):
            assert (await _die(manager, raw, job_id)).state is JobState.RUNNING
        await batch(2)
    done = await manager.jobs.run(job_id)
    assert (done.state, done.removed) == (JobState.DONE, 12 * partitions)


async def test_a_slice_that_has_not_been_silent_for_long_is_not_dead(
    open_manager: Opener, raw: redis.Redis
) -> None:
    """Many may publish a job at once. The mark that they find stays as old as it was."""
    manager = open_manager(max_attempts=1)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    record = manager._context.partitions.home.job(job_id)
    for _ in range(5):
        run = await manager.jobs._runner._begin(job_id, 0, None)
        assert run is not None
        assert run.job.state is JobState.RUNNING
        raw.hsetnx(record, "first", raw.hget(record, "attempt:0"))
    assert raw.hget(record, "attempt:0") == raw.hget(record, "first")
    await manager.jobs._runner._end(run)
    assert raw.hget(record, "attempt:0") == raw.hget(record, "first")  # which is another's, and may live
    assert (await manager.jobs.run(job_id)).removed == 3


async def test_a_message_that_is_void_counts_no_death(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(max_attempts=2)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    [turn] = (await manager.jobs.read(job_id)).next_slices(1)
    await _die(manager, raw, job_id)
    assert [step async for step in steps_of(manager, turn)] == []
    await _let_silence_pass(manager, raw, job_id)
    assert (await manager.jobs.run(job_id)).removed == 3


async def test_a_slice_that_ends_in_good_order_has_not_died(open_manager: Opener, raw: redis.Redis) -> None:
    """Though it had nothing to do: all but the end is done, and that is shard 0's."""
    manager = open_manager(partitions=2, max_attempts=1)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_agent_sessions("bot")
    for _ in range(4):
        turn = (await manager.jobs.read(job_id)).next_slices(2)[1]
        [*_, last] = [step async for step in steps_of(manager, turn)]
        assert (last.progress.state, last.progress.removed) == (JobState.RUNNING, 3)
        await _let_silence_pass(manager, raw, job_id)
    assert (await manager.jobs.run(job_id)).state is JobState.DONE


async def test_a_stop_makes_what_was_not_heard_of_void(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(max_attempts=1)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    for action in ("pause", "cancel"):
        await _die(manager, raw, job_id)
        await manager.jobs.control(job_id, action)
        await manager.jobs.control(job_id, "resume")
    done = await manager.jobs.run(job_id)
    assert (done.state, done.removed) == (JobState.DONE, 3)


async def test_deaths_in_all_shards_are_counted_together(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(partitions=2, max_attempts=2)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_agent_sessions("bot")
    seen = [(await _die(manager, raw, job_id, shard)).state for shard in (0, 1, 0)]
    assert seen == [JobState.RUNNING] * 3
    steps = manager.jobs.steps(job_id, shard=1)
    assert [step.progress.state async for step in steps] == [JobState.FAILED]
    await manager.jobs.control(job_id, "resume")
    assert (await manager.jobs.run(job_id)).removed == 3


async def test_a_job_that_kills_at_its_very_end_fails_too(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(partitions=2, max_attempts=2)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_agent_sessions("bot")
    turn = (await manager.jobs.read(job_id)).next_slices(2)[1]
    assert [step async for step in steps_of(manager, turn)][-1].progress.removed == 3
    failed = await _die_until_failed(manager, raw, job_id, 2)
    assert failed.state is JobState.FAILED
    assert "The job was at its end" in str(failed.error)
    await manager.jobs.control(job_id, "resume")
    done = await manager.jobs.run(job_id)
    assert done.receipt is not None
    assert (done.state, done.receipt.sessions) == (JobState.DONE, 3)


async def test_an_undo_that_kills_fails_and_goes_on_as_an_undo(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(max_attempts=2)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    await manager.jobs.control(job_id, "undo")
    failed = await _die_until_failed(manager, raw, job_id, 2)
    assert failed.state is JobState.FAILED
    assert "restoring sessions in partition 0" in str(failed.error)
    assert (await manager.jobs.control(job_id, "resume")).state is JobState.UNDOING
    undone = await manager.jobs.run(job_id)
    assert (undone.state, undone.restored) == (JobState.UNDONE, 3)
    assert len(await manager.get_sessions_by_user("ann")) == 3


async def test_an_undo_gets_on_also_where_sessions_have_run_out(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(max_attempts=1)
    sessions = await create_sessions(manager, 6)
    await let_expire(manager, *sessions[:5])
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    await manager.jobs.control(job_id, "undo")
    job = await manager.jobs.read(job_id)
    batch = partial(job.spec.undo_batch, manager._context.client, job.home.keys, job_id)
    for _ in range(4):
        assert (await _die(manager, raw, job_id)).state is JobState.UNDOING
        await batch(1)
    undone = await manager.jobs.run(job_id)
    assert (undone.state, undone.restored) == (JobState.UNDONE, 1)


async def test_what_is_said_names_what_the_job_did(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(max_attempts=1)
    [session] = await create_sessions(manager, 1)
    await save_turns(manager, session.session_id, 3)
    await let_expire(manager, *await create_sessions(manager, 1, "bob"))
    pruning = await open_pruning(manager, keep_last=1)
    sweep = await open_sweep(manager)
    for job_id, step in ((pruning, "pruning checkpoints"), (sweep, "sweeping expired sessions")):
        failed = await _die_until_failed(manager, raw, job_id, 1)
        assert step in str(failed.error)
        await manager.jobs.control(job_id, "resume")
    assert (await manager.jobs.run(pruning)).removed == 2
    assert (await manager.jobs.run(sweep)).removed == 1


@pytest.mark.parametrize("how", ["cancelled", "closed"])
async def test_a_slice_that_is_interrupted_has_not_died(
    open_manager: Opener, raw: redis.Redis, how: str
) -> None:
    """As by a time limit, or by a worker that is told to end at once."""
    manager = open_manager(max_attempts=1)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    for _ in range(3):
        steps = manager.jobs.steps(job_id)
        assert (await anext(steps)).progress.state is JobState.RUNNING
        if how == "cancelled":
            with pytest.raises(asyncio.CancelledError):
                await steps.athrow(asyncio.CancelledError())
        else:
            await steps.aclose()
        await _let_silence_pass(manager, raw, job_id)
    assert (await manager.jobs.run(job_id)).removed == 3


async def test_deaths_and_refusals_are_counted_together(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(max_attempts=4)
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    revoked_set = manager._context.partitions.home.prefix + f"revoked:{job_id}:1".encode()
    for last in ("death", "refusal"):
        for each in ["death", "refusal", "death", last]:
            if each == "death":
                assert (await _die(manager, raw, job_id)).state is JobState.RUNNING
                continue
            raw.rename(revoked_set, b"aside:" + revoked_set)
            raw.set(revoked_set, "of another type", ex=60)
            with suppress(CorruptDataError):
                await manager.jobs.run(job_id)
            raw.rename(b"aside:" + revoked_set, revoked_set)
        failed = await manager.jobs.run(job_id)
        assert failed.state is JobState.FAILED
        assert ("WRONGTYPE" if last == "refusal" else "the process of the last one") in str(failed.error)
        await manager.jobs.control(job_id, "resume")
    assert (await manager.jobs.run(job_id)).removed == 3


async def test_many_shards_that_begin_at_once_are_no_attempts_in_vain(open_manager: Opener) -> None:
    manager = open_manager(partitions=8, job_parallelism=8, max_attempts=1)
    for user in "abcdefghijklmnop":
        await create_sessions(manager, 2, user)
    job_id = await manager.revoke_agent_sessions("bot")
    runs = await asyncio.gather(*(manager.jobs._runner._begin(job_id, shard, 1) for shard in range(8)))
    assert {run.job.state for run in runs if run} == {JobState.RUNNING}
    assert (await manager.jobs.run(job_id)).removed == 32
