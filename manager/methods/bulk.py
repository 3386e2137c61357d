"""Methods of `SessionManager` on many sessions at once.

Each does its whole work before it returns. What may be large belongs into a worker: `tasks.SessionJobs`.
"""

from datetime import timedelta
from typing import Unpack

from agent_runtime.manager.errors import InvalidArgumentError
from agent_runtime.manager.jobs.job_store import Opened
from agent_runtime.manager.jobs.request import JobOptions, JobRequest
from agent_runtime.manager.jobs.spec import JobSpec, PrunePolicy
from agent_runtime.manager.methods.context import ManagerBase
from agent_runtime.manager.validation import check_age_seconds, check_count, shown


class BulkMethods(ManagerBase):
    """Bulk deletion, sweep and pruning."""

    async def delete_user_sessions(self, user_id: str) -> int:
        """Deletes all sessions of a user; how many there were. None can be read from the first moment on.

        Example:
            >>> await manager.delete_user_sessions("user_123")
            3
        """
        return await self._do(self.user_deletion(user_id))

    async def delete_agent_sessions(self, agent_id: str) -> int:
        """Deletes all sessions of an agent; how many there were. None can be read from the first moment on.

        Example:
            >>> await manager.delete_agent_sessions("chatbot")
            3
        """
        return await self._do(self.agent_deletion(agent_id))

    async def cleanup_expired_sessions(self) -> int:
        """Removes what is left in the indexes of sessions that ran out; how many sessions.

        Lists and counts are right without it. Each session is counted once, whoever sweeps.

        Example:
            >>> await manager.cleanup_expired_sessions()
            12
        """
        return await self._do(JobSpec.sweep())

    async def prune_checkpoints(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
    ) -> int:
        """Removes checkpoints of one session, of an agent's sessions, or of all; how many.

        Args:
            session_id: prune only this session.
            agent_id: prune only the sessions of this agent.
            keep_last: remove all but the newest so many of each session.
            older_than: remove those of this age (seconds or timedelta) and more. With both limits, a
                checkpoint goes when it is over either. The newest of a session always stays.

        Raises:
            InvalidArgumentError: no limit at all, both a session and an agent, or a value out of range.

        Example:
            >>> await manager.prune_checkpoints(agent_id="chatbot", keep_last=5)
            40
        """
        return await self._do(self.pruning(session_id, agent_id, keep_last, older_than))

    async def revoke_user_sessions(
        self, user_id: str, job_id: str | None = None, **options: Unpack[JobOptions]
    ) -> str:
        """Makes all sessions of a user unreadable at once, in O(1); the id of the job that reclaims them.

        Sessions created later are not touched. While a deletion of the same user is open, this joins it.
        Repeated with the same `job_id`, it changes nothing.

        Raises:
            InvalidArgumentError: an argument is not acceptable; nothing was changed.
            TooManyAffectedError: there are more than `max_affected`; nothing was changed.

        Example:
            >>> job_id = await manager.revoke_user_sessions("user_123", reason="asked to be forgotten")
            >>> await manager.get_sessions_by_user("user_123")
            []
        """
        spec = self.user_deletion(user_id)
        return (await self.open_job(spec, JobRequest.checked(job_id, **options))).job_id

    async def revoke_agent_sessions(
        self, agent_id: str, job_id: str | None = None, **options: Unpack[JobOptions]
    ) -> str:
        """Makes all sessions of an agent unreadable at once; otherwise as `revoke_user_sessions`.

        Example:
            >>> job_id = await manager.revoke_agent_sessions("chatbot")
        """
        spec = self.agent_deletion(agent_id)
        return (await self.open_job(spec, JobRequest.checked(job_id, **options))).job_id

    async def open_job(self, spec: JobSpec, request: JobRequest, *, join: bool = True) -> Opened:
        """Opens a job. A deletion revokes its sessions with this, also for copies that are kept here.

        Example:
            >>> await manager.open_job(manager.user_deletion("user_123"), Order.checked(grace=60))
            Opened(job_id='job_…', added=3)
        """
        params = spec.params if spec.kind.deletes else {}
        with self._revoking(user_id=params.get("user_id"), agent_id=params.get("agent_id")):
            return await self.ledger.open(spec, request, join=join)

    def user_deletion(self, user_id: str) -> JobSpec:
        """What deleting a user's sessions means, once the id is checked.

        Example:
            >>> work = manager.user_deletion("user_123")
        """
        return JobSpec.user_deletion(self._check_id("user_id", user_id))

    def agent_deletion(self, agent_id: str) -> JobSpec:
        """What deleting an agent's sessions means, once the id is checked.

        Example:
            >>> work = manager.agent_deletion("chatbot")
        """
        return JobSpec.agent_deletion(self._check_id("agent_id", agent_id))

    def pruning(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
        except_agents: list[str] | None = None,
    ) -> JobSpec:
        """What the arguments of `prune_checkpoints` mean, once they are checked.

        Args:
            except_agents: agents whose sessions are left alone.

        Example:
            >>> work = manager.pruning(agent_id="chatbot", keep_last=5)
        """
        if keep_last is None and older_than is None:
            raise InvalidArgumentError("prune_checkpoints needs keep_last or older_than, or both")
        if session_id is not None and agent_id is not None:
            raise InvalidArgumentError("prune_checkpoints takes session_id or agent_id, not both")
        if session_id is not None:
            self._check_id("session_id", session_id)
        if agent_id is not None:
            self._check_id("agent_id", agent_id)
        if not isinstance(except_agents, list | None):  # a text would be the list of its letters
            raise InvalidArgumentError(f"except_agents must be a list of ids, not {shown(except_agents)}")
        spared = {self._check_id("except_agents", each) for each in except_agents or ()}
        policy = PrunePolicy(
            session_id=session_id,
            agent_id=agent_id,
            keep_last=None if keep_last is None else check_count("keep_last", keep_last, 0),
            older_than_seconds=None if older_than is None else check_age_seconds("older_than", older_than),
            except_agents=tuple(sorted(spared)) or None,
        )
        return JobSpec.pruning(policy)

    async def _do(self, spec: JobSpec) -> int:
        """How much was removed by doing the work beside any job that is open: the count is of this call."""
        opened = await self.open_job(spec, JobRequest.checked(), join=False)
        return (await self.runner.run(opened.job_id)).removed
