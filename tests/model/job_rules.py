"""Steps that ask for bulk jobs, and check the jobs."""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest

from agent_runtime.manager import InvalidArgumentError, SessionManager
from agent_runtime.manager.jobs import JobProgress, JobStateError, TooManyAffectedError
from agent_runtime.manager.jobs.request import JobRequest
from agent_runtime.manager.new_ids import new_job_id
from tests.model.base import AGENT, AGENTS, MANAGER, PICK, USER, step
from tests.model.bulk_rules import LIMITS, BulkRules, older
from tests.model.jobs import ModelJob, Task

_GRACE_SECONDS = st.sampled_from([0, 3_600, 7_200])
_MOST = st.sampled_from([None, None, None, 0, 1, 3])
_KIND = st.sampled_from(["user", "agent"])


class JobRules(BulkRules):
    """Requests, previews, records and receipts."""

    @step(number=MANAGER, kind=_KIND, user_id=USER, agent_id=AGENT, grace=_GRACE_SECONDS, most=_MOST)
    async def revoke(
        self, number: int, kind: str, user_id: str, agent_id: str, grace: int, most: int | None
    ) -> None:
        task = Task(kind, user_id if kind == "user" else agent_id)
        manager = self.manager(number)
        method = manager.revoke_user_sessions if kind == "user" else manager.revoke_agent_sessions
        request_id = new_job_id()
        if await self._is_refused(
            task, most, lambda: method(task.target, request_id, grace=grace, max_affected=most)
        ):
            return
        joined = self.model.found_by_task.get(task)
        before = self.model.affected(task, older())
        allowed = self.model.added_range(task)
        total = joined.total if joined else 0
        job_id = await method(task.target, request_id, grace=grace, max_affected=most)
        added = (await manager.jobs.progress(job_id)).total - total
        assert added in allowed
        job = self.model.open(task, request_id, added, grace=grace > 0)
        assert job.job_id == job_id
        self.saw(f"a request joined a job: {job is joined}")
        if before:
            self.saw(f"sessions were revoked ({kind})")
        await self.compare(manager, job)

    async def _is_refused(self, task: Task, most: int | None, ask: Any) -> bool:
        reasons: list[type[Exception]] = []
        if self.model.is_being_undone(task):
            self.saw("refused, for the same is being undone")
            reasons.append(JobStateError)
        if most is not None and self.model.affected(task, older()) > most:
            self.saw("refused, for too many would go")
            reasons.append(TooManyAffectedError)
        if reasons:
            with pytest.raises(tuple(reasons)):
                await ask()
        return bool(reasons)

    @step(
        number=MANAGER,
        pick=PICK,
        scope=st.sampled_from(["sweep", "", "session", "agent"]),
        agent_id=AGENT,
        limits=LIMITS,
        spared=st.booleans(),
        grace=_GRACE_SECONDS,
        most=_MOST,
    )
    async def ask_for_other_work(
        self,
        number: int,
        pick: int,
        scope: str,
        agent_id: str,
        limits: tuple[int | None, float | None],
        spared: bool,
        grace: int,
        most: int | None,
    ) -> None:
        """Ask for a sweep or a pruning."""
        sweep = scope == "sweep"
        task = Task("sweep") if sweep else await self.pruning_task(pick, scope, agent_id, limits, spared)
        manager, order = self.manager(number), JobRequest.checked(grace=grace, max_affected=most)
        if await self._is_refused(task, most, lambda: manager.jobs.open(self.work_of(task), order)):
            return
        allowed = self.model.added_range(task)
        opened = await manager.jobs.open(self.work_of(task), order)
        assert opened.added in allowed
        job = self.model.open(task, order.job_id, opened.added, grace=grace > 0)
        assert job.job_id == opened.job_id
        await self.compare(manager, job)

    @step(number=MANAGER, pick=PICK, kind=_KIND, user_id=USER, agent_id=AGENT)
    async def repeat_request(self, number: int, pick: int, kind: str, user_id: str, agent_id: str) -> None:
        """Repeat a known request id: the same work gets the same answer, other work is refused."""
        if not self.model.requests:
            return
        manager = self.manager(number)
        request_id = list(self.model.requests)[-1 - pick % min(4, len(self.model.requests))]
        job, added = self.model.requests[request_id]
        order = JobRequest.checked(request_id, max_affected=0 if pick % 2 else None)
        assert (await manager.jobs.open(self.work_of(job.task), order))[:2] == (job.job_id, added)
        self.model.end_if_nothing_to_do(job, added, grace=False)
        self.saw("a request was repeated")
        other = Task(kind, user_id if kind == "user" else agent_id)
        if other != job.task:
            with pytest.raises(InvalidArgumentError, match="is that of another job"):
                await manager.jobs.open(self.work_of(other), JobRequest.checked(request_id))
        await self.compare(manager, job)

    @step(number=MANAGER, kind=_KIND, user_id=USER, agent_id=AGENT, limits=LIMITS)
    async def preview(
        self, number: int, kind: str, user_id: str, agent_id: str, limits: tuple[int | None, float | None]
    ) -> None:
        jobs = self.manager(number).jobs
        task = Task(kind, user_id if kind == "user" else agent_id)
        shown = await jobs.preview(self.work_of(task))
        live = [each for each in self.model.live() if each.is_of(kind, task.target)]
        assert (shown.sessions, shown.checkpoints) == (len(live), sum(len(each.checkpoints) for each in live))
        assert (await jobs.preview(self.work_of(Task("sweep")))).sessions == len(self.model.unswept())
        pruning = Task("prune", agent_id, *limits, scope="agent")
        shown = await jobs.preview(self.work_of(pruning))
        due = self.model.pruned(pruning, older())
        assert (shown.sessions, shown.checkpoints) == (len(due), sum(len(each) for _, each in due))

    @step(number=MANAGER)
    async def look_at_jobs(self, number: int) -> None:
        """Check the list of jobs and the chain of receipts."""
        manager = self.manager(number)
        page = await manager.jobs.list(limit=5)
        listed = page.jobs
        while page.cursor:
            page = await manager.jobs.list(limit=5, cursor=page.cursor)
            listed += page.jobs
        assert len({each.job_id for each in listed}) == len(listed)
        requested = [each.requested_at for each in listed]
        assert requested == sorted(requested, reverse=True)
        states = {each.job_id: each.state for each in listed}
        assert {job_id: states.get(job_id) for job_id in self.model.jobs} == {
            job_id: job.state for job_id, job in self.model.jobs.items()
        }
        receipts = [
            (each.sessions, each.checkpoints, each.residue.sessions)
            async for each in manager.jobs.receipts.all()
        ]
        assert receipts == [tuple(each) for each in self.model.proofs]
        assert (await manager.jobs.receipts.verify()).problems == []

    async def compare(self, manager: SessionManager, job: ModelJob) -> None:
        """Compare the job's record, as any manager reads it."""
        self.expect_progress(job, await manager.jobs.progress(job.job_id))

    def expect_progress(self, job: ModelJob, progress: JobProgress) -> None:
        job.done = progress.done
        found = (progress.state, progress.total, progress.removed, progress.restored)
        assert found == (job.state, job.total, job.removed, job.restored)
        assert (progress.receipt is not None) is (job.task.deletes and job.state == "done")
        assert (progress.error is not None) is (job.state == "failed")

    async def some_job(
        self, pick: int, wanted: Callable[[ModelJob], bool], *, grace: bool = False
    ) -> ModelJob | None:
        """Return a wanted job in most cases, if need be a new deletion; otherwise any job."""
        jobs = [each for each in self.model.jobs.values() if pick < 52 and wanted(each)]
        if not jobs and pick < 40:
            jobs = await self._ask_for_deletion(AGENTS[pick % 2], grace)
        if not jobs:
            jobs = list(self.model.jobs.values())
        return jobs[-1 - pick % len(jobs)] if jobs else None

    async def _ask_for_deletion(self, agent_id: str, grace: bool) -> list[ModelJob]:
        """Return the job that deletes the sessions of this agent, among them some new ones."""
        task, order = Task("agent", agent_id), JobRequest.checked(grace=3_600 if grace else 0)
        await self.create_some(4, agent_id)
        if self.model.is_being_undone(task):
            return []
        opened = await self.managers[0].jobs.open(self.work_of(task), order)
        job = self.model.open(task, order.job_id, opened.added, grace=grace)
        self.follow_copies()  # another manager than the acting one has revoked them
        return [job]
