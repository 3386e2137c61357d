"""Steps on many sessions: deletions, sweeps and prunings that are done when the call returns."""

from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest

from agent_runtime.manager.jobs import JobSpec, JobStateError, Sweep
from tests.model.base import AGENT, AGENTS, MANAGER, PICK, USER, ModelBase, step
from tests.model.jobs import Task

AGE_SECONDS = 3_600.0

#: keep_last and older_than of a pruning.
LIMITS = st.sampled_from([(0, None), (1, None), (2, None), (None, AGE_SECONDS), (2, AGE_SECONDS)])
SCOPE = st.sampled_from(["", "session", "agent"])


def older() -> datetime:
    """Return the time before which a checkpoint is too old. Checkpoints are hours older than that, or new."""
    return datetime.now(UTC) - timedelta(seconds=AGE_SECONDS)


def prune_arguments(task: Task) -> dict[str, Any]:
    arguments: dict[str, Any] = {"keep_last": task.keep_last, "older_than": task.older_than}
    return arguments | ({f"{task.scope}_id": task.target} if task.scope else {})


class BulkRules(ModelBase):
    """Every method on many sessions."""

    @step(number=MANAGER, user_id=USER)
    async def delete_user(self, number: int, user_id: str) -> None:
        await self._delete(Task("user", user_id), self.manager(number).delete_user_sessions(user_id))

    @step(number=MANAGER, agent_id=AGENT)
    async def delete_agent(self, number: int, agent_id: str) -> None:
        await self._delete(Task("agent", agent_id), self.manager(number).delete_agent_sessions(agent_id))

    async def _delete(self, task: Task, call: Any) -> None:
        if self.model.is_being_undone(task):
            self.saw("refused, for the same is being undone")
            with pytest.raises(JobStateError, match="being undone"):
                await call
            return
        shared = any(each.revoked for each in self.model.owned(task.kind, task.target))
        left = [each for each in self.model.existing() if each.is_of(task.kind, task.target)]
        if any(task.kind in each.revoked for each in left):
            self.saw("a direct deletion took over what a job had revoked")
        removed = self.model.delete_now(task)
        assert await call == removed
        if removed:
            self.saw(f"a deletion of an owner's sessions ({task.kind})")
        if removed and shared:
            self.saw("a deletion reclaimed what another had revoked")

    @step(number=MANAGER)
    async def check(self, number: int) -> None:
        assert [finding async for finding in self.manager(number).scrub()] == []

    @step(number=MANAGER)
    async def sweep(self, number: int) -> None:
        if self.model.is_being_undone(Task("sweep")):
            with pytest.raises(JobStateError, match="being undone"):
                await self.manager(number).cleanup_expired_sessions()
            return
        expired = len(self.model.unswept())
        assert await self.manager(number).cleanup_expired_sessions() == expired
        self.model.sweep(expired)
        if expired:
            self.saw("a sweep found something")

    @step(number=MANAGER, pick=PICK, scope=SCOPE, agent_id=AGENT, limits=LIMITS)
    async def prune(
        self, number: int, pick: int, scope: str, agent_id: str, limits: tuple[int | None, float | None]
    ) -> None:
        task = await self.pruning_task(pick, scope, agent_id, limits)
        call = self.manager(number).prune_checkpoints(**prune_arguments(task))
        if self.model.is_being_undone(task):
            with pytest.raises(JobStateError, match="being undone"):
                await call
            return
        pinned = sum(each.pinned for session in self.model.live() for each in session.checkpoints[:-1])
        removed = self.model.prune_now(task, older())
        assert await call == removed
        if removed:
            self.saw(f"a pruning of {scope or 'all'}")
            self.saw(f"a pruning by {'an age' if task.older_than else 'a number'}")
        if removed and pinned:
            self.saw("a pruning passed over a pin")

    async def pruning_task(
        self,
        pick: int,
        scope: str,
        agent_id: str,
        limits: tuple[int | None, float | None],
        spared: bool = False,
    ) -> Task:
        session_id = await self.some_id(pick)
        target = {"": "", "agent": agent_id, "session": session_id}[scope]
        except_agents = (AGENTS[0],) if spared and not scope else ()
        return Task("prune", target, *limits, except_agents, scope)

    def work_of(self, task: Task) -> JobSpec:
        """Return the manager's JobSpec for the task."""
        manager = self.managers[0]
        if task.kind == "user":
            return manager.jobs.user_deletion(task.target)
        if task.kind == "agent":
            return manager.jobs.agent_deletion(task.target)
        if task.kind == "sweep":
            return Sweep()
        return manager.jobs.pruning(**prune_arguments(task), except_agents=list(task.except_agents))
