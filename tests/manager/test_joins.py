"""A second request for work that is open already joins it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import (
    AgentDeletion,
    JobProgress,
    JobState,
    JobStateError,
    Sweep,
)
from agent_runtime.manager.jobs.listing import JobFilter
from agent_runtime.manager.jobs.request import JobRequest
from tests.support.jobs import make_due, open_sweep, receipts_of
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]

PARTITIONS = pytest.mark.parametrize("partitions", [1, 4])


async def _create(manager: SessionManager, each: int) -> int:
    """So many sessions of each of eight users; how many in all."""
    for user in range(8):
        await create_sessions(manager, each, f"user_{user}")
    return 8 * each


@PARTITIONS
async def test_a_request_that_joins_adds_what_is_new(open_manager: Opener, partitions: int) -> None:
    manager = open_manager(partitions=partitions)
    work, first, second = (
        AgentDeletion("bot"),
        JobRequest.checked(),
        JobRequest.checked(reason="joined"),
    )
    await _create(manager, 3)
    opened = await manager.jobs.open(work, first)
    assert opened[:2] == (first.job_id, 24)
    await _create(manager, 2)
    assert (await manager.jobs.open(work, second))[:2] == (first.job_id, 16)
    assert await manager.get_sessions_by_agent("bot") == []
    # Repeated, each request changes nothing more.
    await _create(manager, 1)
    assert (await manager.jobs.open(work, first)).job_id == first.job_id
    assert (await manager.jobs.open(work, second)).job_id == first.job_id
    assert len(await manager.get_sessions_by_agent("bot")) == 8

    done = await manager.jobs.run(first.job_id)

    assert (done.total, done.done, done.removed, done.reason) == (40, 40, 40, None)
    assert len(await manager.get_sessions_by_agent("bot")) == 8


@PARTITIONS
async def test_a_request_repeated_when_its_answer_was_lost_answers_the_same(
    open_manager: Opener, partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    work, first, second = AgentDeletion("bot"), JobRequest.checked(), JobRequest.checked()
    for order, each in ((first, 3), (second, 2)):
        await _create(manager, each)
        opened = await manager.jobs.open(work, order)
        assert (await manager.jobs.open(work, order))[:2] == opened[:2]
    await manager.jobs.run(first.job_id)
    assert (await manager.jobs.open(work, second))[:2] == (first.job_id, 16)


@PARTITIONS
@pytest.mark.parametrize("kind", ["sweep", "pruning"])
async def test_a_request_that_joins_other_work_adds_nothing(
    open_manager: Opener, partitions: int, kind: str
) -> None:
    manager = open_manager(partitions=partitions)
    await _create(manager, 1)
    await let_expire(manager, *await create_sessions(manager, 3, "gone"))
    work = Sweep() if kind == "sweep" else manager.jobs.pruning(keep_last=1)
    first = await manager.jobs.open(work, JobRequest.checked())
    assert first.added == (3 if kind == "sweep" else 8)
    joining = JobRequest.checked()
    for _ in range(2):
        assert (await manager.jobs.open(work, joining))[:2] == (first.job_id, 0)
    assert (await manager.jobs.run(first.job_id)).total == first.added


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "paused"])
async def test_every_open_job_can_be_joined(open_manager: Opener, state: str) -> None:
    manager = open_manager(slice_seconds=0.001, batch_target_ms=0.001)
    await create_sessions(manager, 150)
    first = await manager.revoke_user_sessions("ann", grace=3_600 if state == "scheduled" else 0)
    if state == "running":
        await manager.jobs.run_slice(first)
    elif state == "paused":
        await manager.jobs.control(first, "pause")
    assert (await manager.jobs.progress(first)).state == state
    await create_sessions(manager, 10)
    assert await manager.revoke_user_sessions("ann", grace=3_600) == first
    joined = await manager.jobs.progress(first)
    assert (joined.state, joined.total) == (state, 160)
    assert await manager.get_sessions_by_user("ann") == []
    if state == "scheduled":
        assert await manager.revoke_user_sessions("ann") == first
    elif state == "paused":
        await manager.jobs.control(first, "resume")
    assert (await manager.jobs.run(first)).removed == 160


@pytest.mark.parametrize("state", ["done", "undone"])
async def test_a_job_that_has_ended_is_not_joined(manager: SessionManager, state: str) -> None:
    await create_sessions(manager, 3)
    first = await manager.revoke_user_sessions("ann")
    if state == "undone":
        await manager.jobs.control(first, "undo")
    await manager.jobs.run(first)
    await create_sessions(manager, 2)
    second = await manager.revoke_user_sessions("ann")
    assert second != first
    assert (await manager.jobs.run(second)).removed == (5 if state == "undone" else 2)


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_a_deletion_that_was_stopped_goes_on_when_it_is_asked_for_again(
    open_manager: Opener, raw: redis.Redis, state: str, partitions: int
) -> None:
    """Else its sessions would stay in the store while the later deletion has a receipt."""
    manager = open_manager(partitions=partitions)
    await create_sessions(manager, 3)
    first = await manager.revoke_agent_sessions("bot")
    home = (await manager.jobs.read(first)).home.keys
    if state == "failed":
        raw.hset(home.job(first), mapping={"state": "failed", "started": 1, "error": "refused"})
        raw.zrem(home.jobs, first)
    else:
        await manager.jobs.control(first, "cancel")
    await create_sessions(manager, 2)
    assert await manager.revoke_agent_sessions("bot") == first
    resumed = await manager.jobs.progress(first)
    assert (resumed.state, resumed.error, resumed.finished_at) == ("queued", None, None)
    assert raw.zscore(home.jobs, first)
    done = await manager.jobs.run(first)
    assert (done.removed, done.receipt.sessions, done.receipt.residue.sessions) == (5, 5, 0)


async def test_the_same_pruning_in_other_words_is_the_same_work(manager: SessionManager) -> None:
    names = {manager.jobs.pruning(older_than=age).name for age in (3_600, 3_600.0, timedelta(hours=1))}
    assert len(names) == 1
    names = {
        manager.jobs.pruning(keep_last=1, except_agents=agents).name
        for agents in (["a", "b"], ["b", "a"], ["a", "b", "a"])
    }
    assert len(names) == 1


@pytest.mark.parametrize("first", [60, 10_000])
async def test_a_cancelled_deletion_that_is_asked_for_again_waits_for_the_grace_of_that_request(
    manager: SessionManager, raw: redis.Redis, first: int
) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=first)
    await manager.jobs.control(job_id, "cancel")
    if first == 60:
        await make_due(manager, raw, job_id)
    await create_sessions(manager, 2)
    assert await manager.revoke_user_sessions("ann", grace=3_600) == job_id
    waiting = await manager.jobs.run(job_id)
    assert waiting.state == "scheduled"
    assert waiting.due_at is not None
    grace = waiting.due_at - waiting.requested_at
    assert timedelta(0) <= grace - timedelta(hours=1) < timedelta(seconds=5)
    assert await manager.jobs.take_stalled() == []
    await manager.jobs.control(job_id, "undo")
    assert (await manager.jobs.run(job_id)).restored == 5


async def test_a_deletion_that_failed_to_be_undone_is_not_joined(
    manager: SessionManager, raw: redis.Redis
) -> None:
    await create_sessions(manager, 3)
    first = await manager.revoke_user_sessions("ann")
    await manager.jobs.control(first, "undo")
    raw.hset((await manager.jobs.read(first)).home.keys.job(first), "state", "failed")
    with pytest.raises(JobStateError, match="being undone"):
        await manager.revoke_user_sessions("ann")
    await manager.jobs.control(first, "resume")
    assert (await manager.jobs.run(first)).restored == 3


async def test_nothing_is_joined_while_a_job_on_the_same_target_is_undone(
    manager: SessionManager,
) -> None:
    """Else the request would miss what comes back after it."""
    await create_sessions(manager, 3)
    first = await manager.revoke_user_sessions("ann")
    await manager.jobs.control(first, "cancel")
    await create_sessions(manager, 2)
    await manager.jobs.control(first, "undo")
    with pytest.raises(JobStateError, match=f"job '{first}' on the same target is being undone"):
        await manager.revoke_user_sessions("ann")
    assert (await manager.jobs.run(first)).restored == 3
    second = await manager.revoke_user_sessions("ann")
    assert (await manager.jobs.run(second)).removed == 5


@pytest.mark.parametrize(("first", "second"), [(3_600, 60), (60, 3_600), (3_600, 0), (60, 60)])
async def test_of_two_graces_the_sooner_end_counts(
    manager: SessionManager, raw: redis.Redis, first: int, second: int
) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=first)
    await create_sessions(manager, 2)
    assert await manager.revoke_user_sessions("ann", grace=second) == job_id
    waiting = await manager.jobs.progress(job_id)
    grace = (waiting.due_at or waiting.requested_at) - waiting.requested_at
    assert timedelta(0) <= grace - timedelta(seconds=min(first, second)) < timedelta(seconds=5)
    if second:
        await make_due(manager, raw, job_id)
    assert await manager.jobs.take_stalled() == [job_id]
    assert (await manager.jobs.run(job_id)).removed == 5


@PARTITIONS
async def test_fifty_requests_at_once_from_two_managers_are_one_job(
    open_manager: Opener, partitions: int
) -> None:
    managers = [open_manager(partitions=partitions) for _ in range(2)]
    count = await _create(managers[0], 10)
    work = AgentDeletion("bot")
    opened = await asyncio.gather(
        *(managers[number % 2].jobs.open(work, JobRequest.checked(grace=60)) for number in range(50))
    )
    assert len({each.job_id for each in opened}) == 1
    assert sum(each.added for each in opened) == count
    [job_id] = {each.job_id for each in opened}
    assert (await managers[0].jobs.progress(job_id)).total == count
    await managers[0].jobs.control(job_id, "undo")
    assert (await managers[1].jobs.run(job_id)).restored == count


@PARTITIONS
async def test_joining_while_the_job_comes_to_its_end_loses_nothing(
    open_manager: Opener, raw: redis.Redis, namespace: str, partitions: int
) -> None:
    managers = [open_manager(partitions=partitions) for _ in range(2)]
    jobs: set[str] = set()
    created = added = 0

    async def ask() -> None:
        nonlocal created, added
        await create_sessions(managers[0], 2, "ann")
        await create_sessions(managers[0], 2, "bob")
        created += 4
        opened = await managers[0].jobs.open(AgentDeletion("bot"), JobRequest.checked())
        jobs.add(opened.job_id)
        added += opened.added

    async def work() -> None:
        await asyncio.gather(*(managers[1].jobs.run(job_id) for job_id in jobs))

    for _ in range(60):
        await asyncio.gather(ask(), work())
        assert await managers[1].get_sessions_by_agent("bot") == []
    await work()

    ended = [await managers[0].jobs.progress(job_id) for job_id in jobs]
    assert {each.state for each in ended} == {JobState.DONE}
    assert [each.total for each in ended] == [each.removed for each in ended]
    assert sum(each.removed for each in ended) == created == added
    assert not list(raw.scan_iter(match=f"{namespace}:*revoked:*"))
    receipts = await receipts_of(managers[0])
    assert sum(receipt.sessions for receipt in receipts) == created
    assert {receipt.residue.sessions for receipt in receipts} == {0}
    assert (await managers[0].jobs.receipts.verify()).problems == []


async def test_a_caller_so_slow_that_the_job_has_ended_takes_nothing_more(
    open_manager: Opener, server: RedisServer, raw: redis.Redis, namespace: str
) -> None:
    """A worker completed what the caller had begun. What came after that is not the job's."""
    manager = open_manager(partitions=4)
    assert await manager.delete_agent_sessions("nobody") == 0  # has the scripts loaded
    count = await _create(manager, 2)
    async with Proxy(server.port) as proxy:
        slow = open_manager(partitions=4, redis_url=proxy.url())
        await slow.session_exists("sess_1")
        proxy.hold_reply_of_call(proxy.calls + 1)
        caller = asyncio.create_task(slow.jobs.open(AgentDeletion("bot"), JobRequest.checked()))

        async def opened() -> list[JobProgress]:
            return (await manager.jobs.list(JobFilter(target="bot"))).jobs

        [job] = await wait_until(opened, description="the home part was written")
        done = await manager.jobs.run(job.job_id)
        await _create(manager, 1)
        proxy.release_replies()
        assert (await caller)[:2] == (job.job_id, count)
        await slow.aclose()

    assert (done.state, done.total, done.removed) == (JobState.DONE, count, count)
    assert await manager.jobs.progress(job.job_id) == done
    assert len(await manager.get_sessions_by_agent("bot")) == 8
    assert not list(raw.scan_iter(match=f"{namespace}:*revoked:*"))


async def test_a_job_whose_record_is_gone_is_not_joined(manager: SessionManager, raw: redis.Redis) -> None:
    first = await open_sweep(manager, "first", join=True)
    raw.delete(manager._context.partitions.home.job(first))
    raw.set(manager._context.partitions.home.open_job(Sweep().name), first, ex=60)
    await let_expire(manager, *await create_sessions(manager, 3))
    second = await open_sweep(manager, "second", join=True)
    assert second == "second"
    assert (await manager.jobs.run(second)).removed == 3
