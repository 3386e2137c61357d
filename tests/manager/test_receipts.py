"""Receipts: the proof of a deletion, in a chain that shows whatever is done to it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
import redis

from agent_runtime.manager import CorruptDataError, InvalidArgumentError, SessionManager
from agent_runtime.manager.jobs import JobState, Receipt
from agent_runtime.manager.jobs.request import JobRequest
from agent_runtime.manager.models.sessions import from_microseconds
from tests.support.jobs import open_pruning, open_sweep, receipts_of
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire, save_turns
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]


async def _delete(manager: SessionManager, user_id: str = "ann", count: int = 1) -> Receipt:
    """The receipt of a deletion of so many sessions."""
    await create_sessions(manager, count, user_id)
    receipt = (await manager.jobs.run(await manager.revoke_user_sessions(user_id))).receipt
    assert receipt is not None
    return receipt


@pytest.mark.parametrize("of", ["user", "agent"])
@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_receipt_says_what_was_removed(open_manager: Opener, partitions: int, of: str) -> None:
    manager = open_manager(partitions=partitions)
    users = [f"user_{number}" for number in range(8)] if of == "agent" else ["ann"]
    for user in users:
        for session in await create_sessions(manager, 2, user):
            await save_turns(manager, session.session_id, 3)
    sessions = 2 * len(users)
    revoke = {"user": manager.revoke_user_sessions, "agent": manager.revoke_agent_sessions}[of]
    progress = await manager.jobs.run(await revoke({"user": "ann", "agent": "bot"}[of], reason="asked"))

    receipt = progress.receipt
    assert receipt is not None
    assert (receipt.job_id, receipt.kind, receipt.number) == (progress.job_id, progress.kind, 1)
    assert (receipt.sessions, receipt.checkpoints) == (sessions, 3 * sessions)
    assert receipt.index_entries == 3 * sessions
    assert (receipt.residue.scope, receipt.residue.sessions) == ("index", 0)
    moments = [receipt.cutoff_at, receipt.started_at, receipt.finished_at, progress.finished_at]
    assert receipt.requested_at == progress.requested_at
    assert receipt.requested_at <= receipt.cutoff_at
    assert receipt.requested_at <= receipt.started_at <= receipt.finished_at
    # The latter is read to the millisecond.
    assert receipt.cutoff_at - receipt.started_at < timedelta(milliseconds=1)
    assert None not in moments
    assert receipt.seconds_worked == (receipt.finished_at - receipt.started_at).total_seconds()
    assert await receipts_of(manager) == [receipt]


async def test_a_receipt_counts_what_several_requests_and_slices_came_to(open_manager: Opener) -> None:
    manager = open_manager(slice_seconds=0.001, batch_target_ms=0.001)
    await create_sessions(manager, 300)
    job_id = await manager.revoke_user_sessions("ann")
    await manager.jobs.run_slice(job_id)
    await create_sessions(manager, 50)
    assert await manager.revoke_user_sessions("ann") == job_id
    receipt = (await manager.jobs.run(job_id)).receipt
    assert receipt is not None
    assert (receipt.sessions, receipt.checkpoints, receipt.residue.sessions) == (350, 0, 0)


async def test_deleting_nothing_has_a_receipt_too(manager: SessionManager) -> None:
    job_id = await manager.revoke_user_sessions("nobody")
    receipt = (await manager.jobs.progress(job_id)).receipt
    assert receipt is not None
    assert (receipt.sessions, receipt.checkpoints, receipt.index_entries) == (0, 0, 0)


async def test_only_a_deletion_that_is_done_has_a_receipt(manager: SessionManager) -> None:
    expired, live = await create_sessions(manager, 2)
    await let_expire(manager, expired)
    await save_turns(manager, live.session_id, 3)
    await manager.jobs.run(await open_sweep(manager))
    await manager.jobs.run(await open_pruning(manager, keep_last=1))
    undone = await manager.revoke_user_sessions("ann", grace=60)
    await manager.jobs.control(undone, "undo")
    assert (await manager.jobs.run(undone)).state is JobState.UNDONE
    cancelled = await manager.revoke_user_sessions("ann")
    await manager.jobs.control(cancelled, "cancel")
    assert await receipts_of(manager) == []


@pytest.mark.parametrize("check", ["index", "store"])
async def test_a_deletion_does_not_end_while_something_of_the_target_is_left(
    open_manager: Opener, raw: redis.Redis, check: str
) -> None:
    manager = open_manager(residue_check=check, partitions=4)
    keys = manager._context.partitions.of_user("ann")
    left, *_ = await create_sessions(manager, 3)
    await create_sessions(manager, 2, "bob")
    kept = raw.dump(keys.session(left.session_id))
    entries = raw.zrange(keys.expiry_index, 0, -1, withscores=True)
    [entry] = [each for each in entries if each[0].startswith(left.session_id.encode())]
    job_id = await manager.revoke_user_sessions("ann")
    batch = partial((await manager.jobs.read(job_id)).spec.batch, manager._context.client, keys, job_id)
    await batch(10)
    # As if a deletion had passed over it: the session's hash, and the index that is looked through.
    raw.restore(keys.session(left.session_id), 60_000, kept)
    place = {"index": keys.user_index("ann"), "store": keys.expiry_index}[check]
    raw.zadd(place, {left.session_id if check == "index" else entry[0]: entry[1]})
    raw.expire(place, 60)

    with pytest.raises(CorruptDataError, match=f"1 sessions of the target of job '{job_id}'.*check --repair"):
        await manager.jobs.run(job_id)
    assert (await manager.jobs.progress(job_id)).state is JobState.RUNNING
    assert await receipts_of(manager) == []
    raw.delete(keys.session(left.session_id), keys.user_index("ann"))
    raw.zrem(keys.expiry_index, entry[0])
    done = await manager.jobs.run(job_id)
    assert done.receipt is not None
    assert (done.removed, done.receipt.residue.scope, done.receipt.residue.sessions) == (3, check, 0)


@pytest.mark.parametrize("check", ["index", "store"])
async def test_what_came_after_the_cut_off_is_no_residue(open_manager: Opener, check: str) -> None:
    manager = open_manager(residue_check=check)
    await create_sessions(manager, 3)
    [handed_over] = await create_sessions(manager, 1, "ann", "other")
    job_id = await manager.revoke_agent_sessions("bot")
    await create_sessions(manager, 2)
    assert await manager.update_session(handed_over.session_id, agent_id="bot")
    receipt = (await manager.jobs.run(job_id)).receipt
    assert receipt is not None
    assert (receipt.sessions, receipt.residue.sessions) == (3, 0)
    assert len(await manager.get_sessions_by_agent("bot")) == 3


async def test_the_target_is_there_as_a_keyed_hash_alone(
    manager: SessionManager, open_manager: Opener, raw: redis.Redis
) -> None:
    receipt = await _delete(manager, "someone@example.org")
    keys = manager._context.partitions.home
    stored = b"".join(raw.zrange(keys.receipts, 0, -1) + raw.zrange(keys.receipt_jobs, 0, -1))
    assert b"someone" not in stored
    assert receipt.target == await manager.jobs.receipts.target_hash("someone@example.org")
    assert receipt.target != await manager.jobs.receipts.target_hash("someone.else@example.org")
    assert receipt.target != await open_manager(receipt_key="another").jobs.receipts.target_hash(
        "someone@example.org"
    )


@pytest.mark.parametrize("target", ["", "\ud83d", None, 5, b"ann", "x" * 513])
async def test_what_is_no_id_has_no_hash(manager: SessionManager, target: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^target "):
        await manager.jobs.receipts.target_hash(target)  # type: ignore[arg-type]


async def test_a_job_has_one_receipt_however_often_it_is_concluded(manager: SessionManager) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    job = await manager.jobs.read(job_id)
    done = await manager.jobs.run(job_id)
    await asyncio.gather(*(manager.jobs._store.complete(job) for _ in range(5)))
    again = await asyncio.gather(*(manager.jobs.receipts.issue(job) for _ in range(5)))
    assert [done.receipt] * 5 == again
    assert await receipts_of(manager) == [done.receipt]


async def test_a_conclusion_that_was_interrupted_is_repeated_with_the_same_receipt(
    manager: SessionManager, raw: redis.Redis
) -> None:
    """By whoever comes next: the receipt was written and the record not closed."""
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    done = await manager.jobs.run(job_id)
    keys = manager._context.partitions.home
    raw.hset(keys.job(job_id), "state", "running")
    raw.hdel(keys.job(job_id), "receipt", "finished")
    again = await manager.jobs.run(job_id)
    assert (again.state, again.receipt) == (JobState.DONE, done.receipt)


async def test_many_conclusions_at_once_give_one_unbroken_chain(open_manager: Opener) -> None:
    managers = [open_manager(partitions=4) for _ in range(2)]
    for number in range(20):
        await create_sessions(managers[0], 2, f"user_{number}")
    jobs = [await managers[0].revoke_user_sessions(f"user_{number}") for number in range(20)]
    await asyncio.gather(*(manager.jobs.run(job_id) for job_id in jobs for manager in managers))
    receipts = await receipts_of(managers[0])
    assert [receipt.number for receipt in receipts] == list(range(1, 21))
    assert {receipt.job_id for receipt in receipts} == set(jobs)
    assert {receipt.sessions for receipt in receipts} == {2}
    found = await managers[1].jobs.receipts.verify()
    assert (found.receipts, found.first, found.last, found.problems) == (20, 1, 20, [])
    assert found.last_hash == receipts[-1].hash


async def test_an_empty_chain_has_no_problems(manager: SessionManager) -> None:
    found = await manager.jobs.receipts.verify()
    assert (found.receipts, found.first, found.last, found.last_hash, found.problems) == (
        0,
        None,
        None,
        "",
        [],
    )


async def test_the_cut_off_is_that_of_the_partition_that_was_first(
    open_manager: Opener, raw: redis.Redis
) -> None:
    """Sessions that came after it may still be there; those that existed then are gone everywhere."""
    manager = open_manager(partitions=4)
    for number in range(8):
        await create_sessions(manager, 1, f"user_{number}")
    job_id = await manager.revoke_agent_sessions("bot")
    cutoffs = [int(raw.hget(keys.job(job_id), "cutoff")) for keys in manager._context.partitions.all]
    receipt = (await manager.jobs.run(job_id)).receipt
    assert receipt is not None
    assert receipt.cutoff_at == from_microseconds(min(cutoffs))
    assert max(cutoffs) > min(cutoffs)


async def test_a_request_that_joins_moves_the_cut_off_also_where_nothing_is(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(partitions=4)
    await create_sessions(manager, 1)
    job_id = await manager.revoke_agent_sessions("bot")
    before = [int(raw.hget(keys.job(job_id), "cutoff")) for keys in manager._context.partitions.all]
    assert await manager.revoke_agent_sessions("bot") == job_id
    after = [int(raw.hget(keys.job(job_id), "cutoff")) for keys in manager._context.partitions.all]
    assert min(after) > max(before)
    await manager.jobs.run(job_id)


async def test_a_job_whose_id_begins_with_that_of_another_is_another(manager: SessionManager) -> None:
    await create_sessions(manager, 2)
    await manager.revoke_user_sessions("ann", job_id="a:1", grace=3_600)
    request = JobRequest.checked("a", grace=3_600)
    assert (await manager.jobs.open(manager.jobs.user_deletion("ann"), request, join=False)).added == 2
    await manager.jobs.control("a", "undo")
    assert (await manager.jobs.run("a")).restored == 0
    assert (await manager.jobs.run("a:1")).removed == 0  # it waits for the end of its grace
    assert await manager.delete_user_sessions("ann") == 2


async def test_an_undo_that_somebody_else_ends_meanwhile_leaves_no_receipt(
    open_manager: Opener, server: RedisServer
) -> None:
    """`make chaos` saw it: the caller of an undo and a worker end it at once, and one is through between two
    steps of the other.
    """
    manager = open_manager()
    await create_sessions(manager, 3)
    async with Proxy(server.port) as proxy:
        slow = open_manager(redis_url=proxy.url())
        await slow.delete_user_sessions("nobody")  # has the scripts loaded
        receipts = await receipts_of(manager)
        job_id = await manager.revoke_user_sessions("ann", grace=3_600)
        await manager.jobs.control(job_id, "undo")
        record = await slow.jobs.read(job_id)
        calls = proxy.calls
        proxy.hold_reply_of_call(calls + 1)
        ending = asyncio.create_task(slow.jobs._store.complete(record))
        await wait_until(lambda: proxy.calls > calls, description="the job to be sealed")
        assert (await manager.jobs.run(job_id)).state is JobState.UNDONE
        proxy.release_replies()
        await ending
        await slow.aclose()
    assert await receipts_of(manager) == receipts
    assert (await manager.jobs.progress(job_id)).restored == 3
