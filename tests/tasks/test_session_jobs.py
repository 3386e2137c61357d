"""`SessionJobs`: bulk work that a caller enqueues, watches and waits for."""

import asyncio
import time
from datetime import timedelta

import pytest

from agent_runtime.manager import InvalidArgumentError, SessionManager, Settings
from agent_runtime.manager.jobs import EnqueueError, JobKind, JobNotFoundError, JobState, JobWaitTimeoutError
from agent_runtime.tasks import SessionJobs
from tests.support.processes import CeleryProcess
from tests.support.redis_server import free_port
from tests.support.sessions import create_sessions, let_expire
from tests.support.wait_until import HANG_SECONDS


async def create(
    manager: SessionManager, count: int, user_id: str = "ann", agent_id: str = "bot"
) -> list[str]:
    return [session.session_id for session in await create_sessions(manager, count, user_id, agent_id)]


async def test_a_user_erased_through_the_queue_is_counted_exactly(
    manager: SessionManager, jobs: SessionJobs
) -> None:
    await create(manager, 500)
    await create(manager, 7, user_id="bob")

    job = await jobs.delete_user_sessions("ann")
    receipt = await job.wait(timeout=HANG_SECONDS)

    assert (receipt.kind, receipt.state) == (JobKind.DELETE_USER, JobState.DONE)
    assert (receipt.total, receipt.done, receipt.removed) == (500, 500, 500)
    assert receipt.finished_at is not None
    assert receipt.finished_at >= receipt.requested_at
    assert await manager.get_active_session_count() == 7


async def test_an_agent_erased_through_the_queue_is_counted_exactly(
    manager: SessionManager, jobs: SessionJobs
) -> None:
    await create(manager, 300)
    await create(manager, 7, agent_id="other")

    receipt = await (await jobs.delete_agent_sessions("bot")).wait(timeout=HANG_SECONDS)

    assert receipt.removed == 300
    assert await manager.get_active_session_count("ann") == 7


async def test_checkpoints_pruned_through_the_queue_are_counted_exactly(
    manager: SessionManager, jobs: SessionJobs
) -> None:
    sessions = await create(manager, 40)
    await asyncio.gather(*(manager.save_checkpoint(s, {"n": n}) for s in sessions for n in range(5)))

    receipt = await (await jobs.prune_checkpoints(agent_id="bot", keep_last=2)).wait(timeout=HANG_SECONDS)

    assert (receipt.done, receipt.removed) == (40, 120)
    assert [len(await manager.list_checkpoints(s)) for s in sessions] == [2] * 40


async def test_an_age_may_be_a_timedelta(manager: SessionManager, jobs: SessionJobs) -> None:
    [session] = await create(manager, 1)
    for n in range(3):
        await manager.save_checkpoint(session, {"n": n})

    job = await jobs.prune_checkpoints(session_id=session, older_than=timedelta(microseconds=1))

    assert (await job.wait(timeout=HANG_SECONDS)).removed == 2


async def test_expired_sessions_swept_through_the_queue_are_counted_exactly(
    manager: SessionManager, jobs: SessionJobs
) -> None:
    await let_expire(manager, *await create_sessions(manager, 50))

    assert (await (await jobs.cleanup_expired_sessions()).wait(timeout=HANG_SECONDS)).removed == 50
    assert (await (await jobs.cleanup_expired_sessions()).wait(timeout=HANG_SECONDS)).removed == 0


async def test_watching_a_job_ends_with_the_job(manager: SessionManager, jobs: SessionJobs) -> None:
    await create(manager, 3_000)

    seen = [progress async for progress in (await jobs.delete_user_sessions("ann")).watch()]

    assert [progress.finished for progress in seen[:-1]] == [False] * (len(seen) - 1)
    assert seen[-1].finished
    assert [progress.done for progress in seen] == sorted(progress.done for progress in seen)


async def test_a_job_longer_than_a_slice_goes_on_under_one_id(
    manager: SessionManager, jobs: SessionJobs, worker: CeleryProcess
) -> None:
    await create(manager, 9_000)

    job = await jobs.delete_user_sessions("ann")

    assert (await job.wait(timeout=HANG_SECONDS)).removed == 9_000
    assert worker.log().count(f"tasks.run_job[{job.id}] received") > 1


async def test_a_job_is_found_again_by_its_id(manager: SessionManager, jobs: SessionJobs) -> None:
    await create(manager, 3)
    job = await jobs.delete_user_sessions("ann")

    assert (await jobs.get(job.id).wait(timeout=HANG_SECONDS)).removed == 3


async def test_an_unknown_job_is_a_clear_error(jobs: SessionJobs) -> None:
    with pytest.raises(JobNotFoundError, match="job_unknown"):
        await jobs.get("job_unknown").progress()


async def test_deleting_nothing_is_done_at_once(jobs: SessionJobs) -> None:
    job = await jobs.delete_user_sessions("nobody")

    progress = await job.progress()

    assert (progress.state, progress.removed) == (JobState.DONE, 0)


class TestWithoutAWorker:
    @pytest.fixture
    def namespace(self) -> str:
        """Not the worker's, so nobody works on these jobs."""
        return "tasks-without-a-worker"

    @pytest.fixture
    def settings(self, namespace: str, worker_settings: dict[str, object]) -> Settings:
        # A broker database of its own: the worker must not see these messages.
        url = str(worker_settings["redis_url"])
        return Settings(redis_url=url, namespace=namespace, broker_url=url.removesuffix("/0") + "/9")

    @pytest.fixture
    def jobs(self, manager: SessionManager) -> SessionJobs:
        return SessionJobs(manager)

    async def test_sessions_are_gone_when_the_deletion_is_enqueued(
        self, manager: SessionManager, jobs: SessionJobs
    ) -> None:
        [session, *_] = await create(manager, 10)

        job = await jobs.delete_user_sessions("ann")

        assert await manager.get_session(session) is None
        assert await manager.get_sessions_by_user("ann") == []
        assert await manager.get_active_session_count() == 0
        assert (await job.progress()).state is JobState.QUEUED
        await manager.jobs.run(job.id)

    async def test_sessions_created_after_the_request_survive_it(
        self, manager: SessionManager, jobs: SessionJobs
    ) -> None:
        await create(manager, 10)
        job = await jobs.delete_user_sessions("ann")
        [later] = await create(manager, 1)

        assert (await manager.jobs.run(job.id)).removed == 10
        assert await manager.session_exists(later)

    async def test_waiting_ends_at_its_time_and_the_job_goes_on(
        self, manager: SessionManager, jobs: SessionJobs
    ) -> None:
        await create(manager, 2)
        job = await jobs.delete_user_sessions("ann")

        with pytest.raises(JobWaitTimeoutError, match=r"still open after 0\.05 s"):
            await job.wait(timeout=0.05)

        assert (await manager.jobs.run(job.id)).removed == 2

    async def test_the_same_pruning_asked_for_twice_is_one_job(
        self, manager: SessionManager, jobs: SessionJobs
    ) -> None:
        await create(manager, 1)

        first = await jobs.prune_checkpoints(keep_last=1)
        second = await jobs.prune_checkpoints(keep_last=1)
        other = await jobs.prune_checkpoints(keep_last=2)

        assert first.id == second.id != other.id
        for job in (first, other):
            await manager.jobs.run(job.id)

    @pytest.mark.parametrize("call", ["delete_user_sessions", "delete_agent_sessions"])
    async def test_a_bad_id_is_refused_before_anything_changes(self, jobs: SessionJobs, call: str) -> None:
        with pytest.raises(InvalidArgumentError, match="must not be empty"):
            await getattr(jobs, call)("")

    async def test_a_broker_that_is_down_leaves_the_sessions_revoked_and_the_job_open(
        self, settings: Settings
    ) -> None:
        dead = settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{free_port()}/0"})
        async with SessionManager.from_settings(dead) as manager:
            await create(manager, 5)
            started = time.monotonic()

            with pytest.raises(EnqueueError, match="resume_stalled_jobs enqueues it again"):
                await SessionJobs(manager).delete_user_sessions("ann")

            assert time.monotonic() - started < 10
            assert await manager.get_active_session_count("ann") == 0
            rescuer = SessionManager.from_settings(
                settings.model_copy(update={"stalled_after_seconds": 0.001})
            )
            [open_job] = await rescuer.jobs.take_stalled()
            assert (await rescuer.jobs.run(open_job)).removed == 5
            await rescuer.aclose()
