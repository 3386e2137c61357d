"""Slices of one job: each is worked on once, whatever messages there are; shards share its parts."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobKind, JobState
from agent_runtime.manager.jobs.runner import Step
from agent_runtime.manager.jobs.slices import Slice
from agent_runtime.tasks.publisher import Publisher
from tests.support.jobs import steps_of
from tests.support.processes import celery_worker, run_program
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own: nobody else reads its queues."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def namespace() -> str:
    return "slices"


@pytest.fixture
def worker_settings(server: RedisServer, namespace: str) -> dict[str, object]:
    return {"redis_url": server.url(), "namespace": namespace}


@pytest.fixture
def broker(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client(db=1) as client:
        yield client


async def _steps(manager: SessionManager, turn: Slice) -> list[Step]:
    return [step async for step in steps_of(manager, turn)]


async def test_of_two_messages_with_one_number_the_later_one_is_void(open_manager: Opener) -> None:
    manager = open_manager(slice_seconds=0.001, batch_target_ms=0.001)
    await create_sessions(manager, 150)
    job = await manager.jobs.read(await manager.revoke_user_sessions("ann"))
    [turn] = job.next_slices(4)
    assert turn.number == 1
    [*_, last] = await _steps(manager, turn)
    assert last.next == turn._replace(number=2)
    done = (await manager.jobs.progress(job.job_id)).done
    assert await _steps(manager, turn) == []
    assert (await manager.jobs.progress(job.job_id)).done == done
    assert (await manager.jobs.read(job.job_id)).next_slices(4) == [last.next]
    assert (await manager.jobs.run(job.job_id)).removed == 150


async def test_a_message_that_found_the_job_stopped_has_not_used_its_number(manager: SessionManager) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", grace=3_600)
    [turn] = (await manager.jobs.read(job_id)).next_slices(4)
    for action, state in ((None, "scheduled"), ("pause", "paused"), ("cancel", "cancelled")):
        if action:
            await manager.jobs.control(job_id, action)
        [step] = await _steps(manager, turn)
        assert (step.progress.state, step.next) == (state, None)
        assert (await manager.jobs.read(job_id)).next_slices(4) == [turn]
    await manager.jobs.control(job_id, "undo")
    [*_, step] = await _steps(manager, turn)
    assert (step.progress.state, step.progress.restored) == (JobState.UNDONE, 3)


@pytest.mark.parametrize(("partitions", "shards"), [(1, 1), (2, 2), (4, 4), (9, 4)])
async def test_there_are_as_many_shards_as_there_are_parts_for(
    open_manager: Opener, partitions: int, shards: int
) -> None:
    manager = open_manager(partitions=partitions)
    await create_sessions(manager, 3)
    of_agent, of_user = await manager.revoke_agent_sessions("bot"), await manager.revoke_user_sessions("ann")
    turns = (await manager.jobs.read(of_agent)).next_slices(4)
    assert [(turn.shard, turn.number) for turn in turns] == [(shard, 1) for shard in range(shards)]
    assert len((await manager.jobs.read(of_user)).next_slices(4)) == 1
    assert (await manager.jobs.run(of_agent)).removed == 3


@pytest.mark.parametrize("undo", [False, True])
async def test_shards_at_once_end_a_job_with_the_exact_count(open_manager: Opener, undo: bool) -> None:
    managers = [open_manager(partitions=4, slice_seconds=0.01, batch_target_ms=0.001) for _ in range(4)]
    for user in range(16):
        await create_sessions(managers[0], 100, f"user_{user}")
    job_id = await managers[0].revoke_agent_sessions("bot", grace=3_600 if undo else 0)
    if undo:
        await managers[0].jobs.control(job_id, "undo")

    async def shard(manager: SessionManager, turn: Slice | None) -> int:
        slices = 0
        while turn is not None:
            steps = await _steps(manager, turn)
            turn, slices = steps[-1].next, slices + 1
        return slices

    turns = (await managers[0].jobs.read(job_id)).next_slices(4)
    slices = await asyncio.gather(*map(shard, managers, turns))

    ended = await managers[0].jobs.progress(job_id)
    assert ended.state == ("undone" if undo else "done")
    assert (ended.restored if undo else ended.removed) == ended.total == 1_600
    assert min(slices) > 0


async def test_a_shard_alone_does_all_but_the_end(open_manager: Opener) -> None:
    """The end is that of shard 0, which so comes to it once."""
    manager = open_manager(partitions=4)
    for user in range(8):
        await create_sessions(manager, 5, f"user_{user}")
    job_id = await manager.revoke_agent_sessions("bot")
    job = await manager.jobs.read(job_id)
    [*_, step] = await _steps(manager, Slice(job_id, job.spec.kind, shard=2, number=1))
    assert (step.progress.state, step.next) == (JobState.RUNNING, None)
    assert step.progress.removed == 40
    assert (await manager.jobs.run(job_id)).removed == 40


async def test_messages_that_pile_up_while_no_worker_is_there_are_void(
    open_manager: Opener, broker: redis.Redis, worker_settings: dict[str, object]
) -> None:
    manager = open_manager(partitions=2)
    for user in range(4):
        await create_sessions(manager, 50, f"user_{user}")
    job_id = await manager.revoke_agent_sessions("bot")
    for _ in range(10):
        Publisher(manager.settings).publish(await manager.jobs.read(job_id))
    assert broker.llen("bulk") == 20  # of two shards each
    with celery_worker(**worker_settings, partitions=2) as worker:

        async def done() -> bool:
            return (await manager.jobs.progress(job_id)).finished and not broker.llen("bulk")

        await wait_until(done, description="the job to be done and the queue to be empty")
        await wait_until(
            lambda: worker.log().count("received") == 20, description="all of them to be looked at"
        )
    begun = (await manager.jobs.read(job_id)).home.fields
    assert begun["slices:0"] == "1"
    assert int(begun.get("slices:1", 0)) <= 1
    assert (await manager.jobs.progress(job_id)).removed == 200


async def test_the_lifeline_does_not_fill_the_queue_while_a_message_waits_in_it(
    manager: SessionManager, broker: redis.Redis, raw: redis.Redis
) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann")
    jobs = manager._context.partitions.home.jobs
    Publisher(manager.settings).publish(await manager.jobs.read(job_id))
    published = 0
    for _ in range(20):  # some ten minutes
        score = raw.zscore(jobs, job_id)
        assert score is not None
        raw.zadd(jobs, {job_id: score - 30_001})
        for stalled in await manager.jobs.take_stalled():
            Publisher(manager.settings).publish(await manager.jobs.read(stalled))
            published += 1
    assert broker.llen("bulk") == 1 + published
    assert 1 <= published <= 6
    assert (await manager.jobs.run(job_id)).removed == 3


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_look_for_stalled_jobs_takes_no_longer_than_a_slice_and_the_next_looks_ring_for_the_others(
    open_manager: Opener,
    broker: redis.Redis,
    raw: redis.Redis,
    worker_settings: dict[str, object],
    partitions: int,
) -> None:
    """It rang for a thousand in each partition: a worker that was told to stop meanwhile went on."""
    manager = open_manager(partitions=partitions)
    for number in range(200):
        await create_sessions(manager, 1, f"user_{number}")
        await manager.revoke_user_sessions(f"user_{number}")
    for keys in manager._context.partitions.all:
        for job_id in raw.zrange(keys.jobs, 0, -1):
            raw.zadd(keys.jobs, {job_id: 1})
    looks = "import json, tasks; print(json.dumps([tasks.resume_stalled_jobs() for _ in range(200)]))"
    settings = {**worker_settings, "partitions": partitions, "slice_seconds": 0.001}
    published = await asyncio.to_thread(run_program, looks, **settings)
    assert max(published) < 40
    assert sum(published) == broker.llen("bulk") == 200


async def test_the_shortest_slice_does_a_batch_and_each_shard_begins_at_another_part(
    open_manager: Opener,
) -> None:
    manager = open_manager(partitions=2, slice_seconds=1e-9)
    users = {manager._context.partitions.of_user(user).number: user for user in "abcdefghijklmnop"}
    for user in users.values():
        await create_sessions(manager, 150, user)
    job_id = await manager.revoke_agent_sessions("bot")
    for shard in (0, 1):
        await _steps(manager, Slice(job_id, JobKind.DELETE_AGENT, shard=shard))
    parts = (await manager.jobs.read(job_id)).parts
    assert [int(part.fields["done"]) for part in parts] == [100, 100]
    assert (await manager.jobs.run(job_id)).removed == 300
