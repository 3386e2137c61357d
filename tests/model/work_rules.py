"""Steps that work on bulk jobs, slice by slice, and steps that control them."""

from collections.abc import Callable

import hypothesis.strategies as st
import pytest

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobProgress, JobState, JobStateError
from tests.model.base import MANAGER, PICK, step
from tests.model.bulk_rules import older
from tests.model.job_rules import JobRules
from tests.model.jobs import ModelJob
from tests.model.stored import packed
from tests.support.jobs import make_due, refuse_a_batch


class WorkRules(JobRules):
    """Actions of the runner, and actions that pause, resume, cancel or undo a job."""

    @step(number=MANAGER, pick=PICK)
    async def work_a_slice(self, number: int, pick: int) -> None:
        job = await self.some_job(pick, lambda each: each.can_begin)
        if job is not None:
            await self._work_a_slice(self.manager(number), job)

    async def _work_a_slice(self, manager: SessionManager, job: ModelJob) -> None:
        held, done = len(job.held()), job.done
        progress = await manager.jobs.run_slice(job.job_id)
        worked = self.model.begin(job)
        await self._follow_work(job, progress)
        if worked:
            assert progress.done > done or progress.state is JobState.UNDOING or progress.state.ended
            self.saw("a slice was done")
        if held and job.held() and len(job.held()) < held:
            self.saw(f"a slice left something to {'restore' if job.state == 'undoing' else 'reclaim'}")
        self.expect_progress(job, progress)

    @step(number=MANAGER, pick=PICK)
    async def work_to_the_end(self, number: int, pick: int) -> None:
        job = await self.some_job(pick, lambda each: each.can_begin)
        if job is None:
            return
        manager, held = self.manager(number), len(job.held())
        removed = job.removed
        undone, whole = job.state == "undoing", not job.has_passed
        due = self.model.affected(job.task, older()) if job.task.kind == "prune" else 0
        progress = await manager.jobs.run(job.job_id)
        worked = self.model.begin(job)
        await self._follow_work(job, progress)
        if worked:
            assert job.state in ("done", "undone")
            assert not job.held()
            if job.task.kind == "prune" and whole and not undone:
                assert progress.removed - removed == due
            if held:
                self.saw("a job restored its sessions" if undone else "a job reclaimed its sessions")
        self.expect_progress(job, progress)

    async def _follow_work(self, job: ModelJob, progress: JobProgress) -> None:
        """Apply the work to the model: the runner chooses how many sessions, the model chooses which."""
        removed, restored = progress.removed - job.removed, progress.restored - job.restored
        assert not (restored and job.state != "undoing")
        assert not (removed and job.state != "running")
        if job.task.deletes:
            assert removed + restored <= len(job.held())
            self.model.reclaim(job, removed)
            self.model.restore(job, restored)
        elif job.task.kind == "sweep":
            self._follow_sweep(job, removed)
        else:
            self._follow_pruning(job, removed)
        if job.goes_on and progress.state.ended:
            self._expect_finished(job)

    def _follow_sweep(self, job: ModelJob, removed: int) -> None:
        """Apply a sweep: it removes expired sessions, but does not come back to a partition that it has
        drained."""
        stored = self.inspector.read()
        gone = [
            each
            for each in self.model.unswept()
            if packed(each) not in stored.members(each.partition, "x")[1]
        ]
        assert len(gone) == removed
        for session in gone:
            session.unswept = False
        job.removed += removed

    def _follow_pruning(self, job: ModelJob, removed: int) -> None:
        """Apply a pruning: it removes due checkpoints, the oldest of each session first."""
        job.has_passed = job.has_passed or job.begun
        stored = self.inspector.read()
        gone = 0
        for session, due in self.model.pruned(job.task, older()):
            left = stored.keys[session.partition, "o"][session.session_id].held
            passed = [each for each in due if each.checkpoint_id not in left]
            assert passed == due[: len(passed)]
            gone += len(passed)
            self.model.remove(session, passed)
        assert gone == removed
        job.removed += removed
        if gone:
            self.saw("a pruning was drained")

    def _expect_finished(self, job: ModelJob) -> None:
        left = job.held() if job.task.deletes else []
        assert not left
        if job.task.kind == "sweep" and job.state == "running" and self.model.limits.partitions == 1:
            assert not self.model.unswept()
        self.model.finish(job)

    @step(number=MANAGER, pick=PICK, action=st.sampled_from(["pause", "resume", "cancel", "undo"]))
    async def control(self, number: int, pick: int, action: str) -> None:
        await self._control(number, pick, action)

    @step(number=MANAGER, pick=PICK)
    async def undo(self, number: int, pick: int) -> None:
        await self._control(number, pick, "undo")

    async def _control(self, number: int, pick: int, action: str) -> None:
        stopped = ("paused", "cancelled", "failed")
        wanted: dict[str, Callable[[ModelJob], bool]] = {
            "resume": lambda each: each.state in stopped,
            "undo": lambda each: each.listed_as_open or each.state in stopped,
        }
        job = await self.some_job(pick, wanted.get(action, lambda each: each.listed_as_open), grace=True)
        if job is None:
            return
        manager = self.manager(number)
        before = job.state
        if self.model.control(job, action):
            await manager.jobs.control(job.job_id, action)
            self.saw(f"{action}: allowed")
            self.saw(f"{action}: {before} to {job.state}")
        else:
            with pytest.raises(JobStateError, match=f"is {before}"):
                await manager.jobs.control(job.job_id, action)
            self.saw(f"{action}: refused")
        await self.compare(manager, job)

    @step(number=MANAGER, pick=PICK)
    async def refuse_batches(self, number: int, pick: int) -> None:
        """After a slice, refuse as many batches of the job in a row as make it fail."""
        job = await self.some_job(pick, lambda each: each.goes_on)
        if job is None:
            return
        manager = self.manager(number)
        if job.can_begin:
            await self._work_a_slice(manager, job)
        state = await refuse_a_batch(manager, job.job_id)
        failed = self.model.fail(job)
        assert (state == "failed") is failed
        if failed:
            self.saw("a job failed")

    @step(number=MANAGER, pick=PICK)
    async def end_grace(self, number: int, pick: int) -> None:
        """End a grace period in the job's record. A look for due jobs finds the job."""
        job = await self.some_job(pick, lambda each: each.waits, grace=True)
        if job is None or not job.waits:
            return
        manager = self.manager(number)
        await make_due(manager, self.raw, job.job_id)
        job.waits = False
        taken = await manager.jobs.take_stalled()
        assert (job.job_id in taken) is job.listed_as_open
        assert {each.job_id for each in self.model.jobs.values() if each.listed_as_open} >= set(taken)
        self.saw("a grace was over")
