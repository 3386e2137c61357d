"""The job store: whoever holds a job's id can work on it, twice, at once, or after a crash."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC
from functools import partial

import pytest
import redis

from agent_runtime.manager import InvalidArgumentError, SessionManager
from agent_runtime.manager.jobs import AgentDeletion, JobKind, JobNotFoundError, JobState
from agent_runtime.manager.scripts import batches
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.scripts.batches import BatchReply, Selection
from tests.support.jobs import open_pruning, open_sweep
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]


@pytest.mark.parametrize("method", ["progress", "run_slice", "run"])
async def test_a_job_that_never_was_is_an_error(manager: SessionManager, method: str) -> None:
    with pytest.raises(JobNotFoundError, match="job_unknown"):
        await getattr(manager.jobs, method)("job_unknown")
    with pytest.raises(LookupError):
        await getattr(manager.jobs, method)("job_unknown")


async def test_progress_tells_the_life_of_a_job(open_manager: Opener) -> None:
    manager = open_manager(slice_seconds=0.01, batch_target_ms=0.001)  # small batches, short slices
    await create_sessions(manager, 1000)
    job_id = await manager.revoke_user_sessions("ann")

    queued = await manager.jobs.progress(job_id)
    assert (queued.job_id, queued.kind, queued.state) == (job_id, JobKind.DELETE_USER, JobState.QUEUED)
    assert (queued.total, queued.done, queued.removed, queued.finished_at) == (1000, 0, 0, None)
    assert queued.requested_at == queued.heartbeat_at
    assert queued.requested_at.tzinfo is UTC
    assert not queued.finished

    running = await manager.jobs.run_slice(job_id)
    assert running.state is JobState.RUNNING
    assert 0 < running.done == running.removed < 1000
    assert running.heartbeat_at >= running.requested_at

    done = await manager.jobs.run(job_id)
    assert (done.state, done.done, done.removed) == (JobState.DONE, 1000, 1000)
    assert done.finished
    assert done.finished_at is not None
    assert done.finished_at >= running.heartbeat_at


@pytest.mark.parametrize("partitions", [1, 4])
async def test_two_workers_on_one_job_give_the_exact_count(open_manager: Opener, partitions: int) -> None:
    managers = [open_manager(partitions=partitions) for _ in range(2)]
    for user in range(8):
        await create_sessions(managers[0], 100, f"user_{user}")
    job_id = await managers[0].revoke_agent_sessions("bot")
    await asyncio.gather(*(manager.jobs.run(job_id) for manager in managers))
    progress = await managers[0].jobs.progress(job_id)
    assert (progress.total, progress.done, progress.removed) == (800, 800, 800)


@pytest.mark.parametrize("kind", ["deletion", "sweep", "pruning"])
async def test_a_job_run_again_changes_nothing(manager: SessionManager, kind: str) -> None:
    sessions = await create_sessions(manager, 3)
    for session in sessions * 3:
        await manager.save_checkpoint(session.session_id, {})
    if kind == "deletion":
        job_id = await manager.revoke_user_sessions("ann")
    elif kind == "sweep":
        await let_expire(manager, *sessions)
        job_id = await open_sweep(manager, join=False)
    else:
        job_id = await open_pruning(manager, join=False, keep_last=2)
    first = await manager.jobs.run(job_id)
    assert first.removed == 3
    late = await create_sessions(manager, 2)
    for session in late * 3:
        await manager.save_checkpoint(session.session_id, {})
    assert await manager.jobs.run(job_id) == first
    assert len(await manager.get_sessions_by_user("ann")) == (5 if kind == "pruning" else 2)
    assert [len(await manager.list_checkpoints(each.session_id)) for each in late] == [3, 3]


async def test_what_has_nothing_to_do_is_done_at_once(manager: SessionManager) -> None:
    jobs = [
        await manager.revoke_user_sessions("nobody"),
        await manager.revoke_agent_sessions("nobody"),
        await open_sweep(manager, join=True),
        await open_pruning(manager, join=True, keep_last=1),
    ]
    for job_id in jobs:
        progress = await manager.jobs.progress(job_id)
        assert (progress.state, progress.total, progress.removed) == (JobState.DONE, 0, 0)


@pytest.mark.parametrize("kind", ["sweep", "pruning", "pruning of an agent", "pruning of a session"])
async def test_an_open_job_is_joined_and_a_done_one_is_not(manager: SessionManager, kind: str) -> None:
    expired, live = await create_sessions(manager, 2)
    await let_expire(manager, expired)
    policy = {
        "pruning": {},
        "pruning of an agent": {"agent_id": "bot"},
        "pruning of a session": {"session_id": live.session_id},
    }

    async def open_job(*, join: bool, keep_last: int = 2) -> str:
        if kind == "sweep":
            return await open_sweep(manager, join=join)
        return await open_pruning(manager, join=join, **policy[kind], keep_last=keep_last)

    first = await open_job(join=True)
    assert await open_job(join=True) == first
    beside = await open_job(join=False)
    assert beside != first
    assert await open_job(join=True) == first
    if kind != "sweep":
        assert await open_job(join=True, keep_last=3) != first
    await manager.jobs.run(first)
    assert await open_job(join=True) != first


async def test_an_open_sweep_is_joined_whichever_partition_has_work(open_manager: Opener) -> None:
    manager = open_manager(partitions=2)
    users = [user for user in "abcdefghijklmnop" if manager._context.partitions.of_user(user).number == 1]
    sessions = await create_sessions(manager, 3, users[0])
    await let_expire(manager, *sessions)
    first = await open_sweep(manager, join=True)
    assert not (await manager.jobs.progress(first)).finished
    assert await open_sweep(manager, join=True) == first


async def test_a_job_can_be_joined_until_its_last_part_is_done(open_manager: Opener) -> None:
    manager = open_manager(partitions=2)
    jobs = manager.jobs
    sessions = [each for user in "abcdef" for each in await create_sessions(manager, 5, user)]
    await let_expire(manager, *sessions)
    first = await open_sweep(manager, join=True)
    job = await jobs.read(first)
    assert len(job.parts) == 2
    for part in job.parts:
        assert await open_sweep(manager, join=True) == first
        batch = partial(job.spec.batch, manager._context.client, part.keys, first)
        while await batch(10) is BatchReply.MORE:
            pass
    await jobs._store.complete(job)
    assert await open_sweep(manager, join=True) != first


async def test_a_job_opened_again_with_its_id_is_the_same_job(manager: SessionManager) -> None:
    sessions = await create_sessions(manager, 2)
    await let_expire(manager, *sessions)
    assert await open_sweep(manager, "job_mine") == "job_mine"
    done = await manager.jobs.run("job_mine")
    assert await open_sweep(manager, "job_mine", join=True) == "job_mine"
    assert await manager.jobs.progress("job_mine") == done


async def test_a_silent_open_job_is_taken_up_once_a_period(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(partitions=2, stalled_after_seconds=30)
    await create_sessions(manager, 3)
    await manager.revoke_agent_sessions("done")
    job_id = await manager.revoke_agent_sessions("bot")
    assert await manager.jobs.take_stalled() == []
    home = manager._context.partitions.of_user("ann").prefix + b"jobs"
    raw.zadd(home, {job_id: 1, "job_forgotten": 2})
    assert await manager.jobs.take_stalled() == [job_id]
    assert await manager.jobs.take_stalled() == []
    assert [name for name, _ in raw.zrange(home, 0, -1, withscores=True)] == [job_id.encode()]
    await manager.jobs.run(job_id)
    raw.zadd(home, {job_id: 1}, xx=True)
    assert await manager.jobs.take_stalled() == []
    assert raw.zcard(home) == 0


async def test_working_beats_the_heart(manager: SessionManager, raw: redis.Redis, namespace: str) -> None:
    await create_sessions(manager, 150)
    job_id = await manager.revoke_user_sessions("ann")
    jobs = f"{namespace}:{{0}}:jobs"
    raw.zadd(jobs, {job_id: 1})
    raw.hset(f"{namespace}:{{0}}:job:{job_id}", "heartbeat", 1)

    async def batch() -> BatchReply:
        keys = manager._context.partitions.home
        target = Selection(keys.user_index("ann"), "all", "u", "ann")
        return await batches.reclaim_batch(manager._context.client, keys, target, job_id=job_id, limit=100)

    assert await batch() is BatchReply.MORE
    assert raw.zscore(jobs, job_id) > 1
    assert (await manager.jobs.progress(job_id)).heartbeat_at.year > 1970
    assert await batch() is BatchReply.END
    await manager.jobs.run(job_id)
    assert raw.zscore(jobs, job_id) is None


async def test_an_agent_deletion_whose_caller_died_half_way_is_completed_by_a_worker(
    open_manager: Opener, server: RedisServer, raw: redis.Redis
) -> None:
    manager = open_manager(partitions=4)
    for user in range(20):
        await create_sessions(manager, 2, f"user_{user}")
    async with Proxy(server.port) as proxy:
        dying = open_manager(partitions=4, redis_url=proxy.url())
        await dying.session_exists("sess_1")
        await dying.revoke_agent_sessions("nobody", "job_first")  # has the scripts loaded
        calls = proxy.calls
        proxy.hold_reply_of_call(calls + 2)
        caller = asyncio.create_task(dying.revoke_agent_sessions("bot", "job_mine"))
        await wait_until(lambda: proxy.calls > calls + 1, description="the home partition was revoked")
        home = manager._context.partitions.home.job("job_mine")
        await wait_until(lambda: raw.exists(home), description="the home record was written")
        caller.cancel()
        proxy.release_replies()
        await asyncio.wait([caller])
        await dying.aclose()
    assert 0 < await manager.get_active_session_count() < 40

    progress = await manager.jobs.run("job_mine")

    assert (progress.state, progress.total, progress.removed) == (JobState.DONE, 40, 40)
    assert await manager.get_active_session_count() == 0


async def test_a_stale_message_for_a_done_agent_deletion_deletes_nothing_new(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(partitions=2)
    users = {manager._context.partitions.of_user(user).number: user for user in "abcdefghijklmnop"}
    await create_sessions(manager, 3, users[1])
    job_id = await manager.revoke_agent_sessions("bot")
    await manager.jobs.run(job_id)
    # Time does this: the part without sessions expires after the retention of jobs, the other one
    # later by the time that its revoked set could have lived.
    raw.delete(manager._context.partitions.all[0].job(job_id))
    new = await create_sessions(manager, 2, users[0])
    with pytest.raises(JobNotFoundError):
        await manager.jobs.run_slice(job_id)
    assert len(await manager.get_sessions_by_agent("bot")) == len(new)


async def _begin_deletion(manager: SessionManager, grace_ms: int = 0) -> None:
    """Leave what a caller leaves who dies after the first script."""
    work, home = AgentDeletion("bot"), manager._context.partitions.home
    await scripts.open_job(
        manager._context.client,
        home,
        work.work_in(home),
        scripts.Request("job_begun", grace_ms),
        scripts.Periods(retention_ms=3_600_000, silence_ms=1),
        join=True,
        has_other_parts=True,
    )


async def test_an_agent_deletion_begun_by_a_caller_who_died_is_completed_by_the_lifeline(
    open_manager: Opener, raw: redis.Redis
) -> None:
    """Even if the one part that was written has nothing to reclaim."""
    manager = open_manager(partitions=2, stalled_after_seconds=0.001)
    user = next(user for user in "abcdefghijklmnop" if manager._context.partitions.of_user(user).number == 1)
    await create_sessions(manager, 3, user)
    await _begin_deletion(manager)

    assert not (await manager.jobs.progress("job_begun")).finished
    [open_job] = await wait_until(manager.jobs.take_stalled, description="the job to count as stalled")
    assert (await manager.jobs.run(open_job)).removed == 3
    assert await manager.get_sessions_by_agent("bot") == []


@pytest.mark.parametrize(
    "reuse",
    [
        lambda manager: manager.revoke_user_sessions("bob", "nightly"),
        lambda manager: manager.revoke_agent_sessions("bot", "nightly"),
        lambda manager: open_sweep(manager, "nightly"),
    ],
    ids=["another user", "an agent", "a sweep"],
)
async def test_an_id_that_serves_one_job_is_refused_for_another(
    manager: SessionManager, reuse: Callable[[SessionManager], Awaitable[str]]
) -> None:
    await create_sessions(manager, 2)
    [other] = await create_sessions(manager, 1, "bob")
    await manager.revoke_user_sessions("ann", "nightly")

    with pytest.raises(InvalidArgumentError, match="'nightly' is that of another job"):
        await reuse(manager)

    assert await manager.session_exists(other.session_id)
    assert (await manager.jobs.run("nightly")).removed == 2


async def test_a_job_is_kept_as_long_as_its_longest_part(open_manager: Opener, raw: redis.Redis) -> None:
    """Else what that part has taken away would belong to no job."""
    manager = open_manager(partitions=4, job_retention_seconds=3_600)
    far = open_manager(partitions=4, ttl=30 * 86_400)
    users = {manager._context.partitions.of_user(user).number: user for user in "abcdefghijklmnop"}
    await create_sessions(far, 1, users[3])
    job_id = await manager.revoke_agent_sessions("bot")
    home, *others = (await manager.jobs.read(job_id)).parts
    longest = max(raw.pttl(part.keys.job(job_id)) for part in others)
    assert longest > 29 * 86_400_000
    for key in (home.keys.job(job_id), home.keys.jobs, home.keys.history):
        assert raw.pttl(key) >= longest - 1_000


async def test_a_deletion_with_a_grace_whose_caller_died_half_way_is_completed_before_its_end(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(partitions=2, stalled_after_seconds=0.001)
    for user in "abcdefghijklmnop":
        await create_sessions(manager, 1, user)
    await _begin_deletion(manager, grace_ms=60_000)
    assert await manager.get_sessions_by_agent("bot") != []
    [open_job] = await wait_until(manager.jobs.take_stalled, description="the job to be stalled")
    assert (await manager.jobs.run(open_job)).state is JobState.SCHEDULED
    assert await manager.get_sessions_by_agent("bot") == []
    assert await manager.jobs.take_stalled() == []
