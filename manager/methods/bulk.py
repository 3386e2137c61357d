"""Methods of `SessionManager` on many sessions at once.

Each does its whole work before it returns. What may be large belongs into a worker: `tasks.SessionJobs`.
"""

from datetime import timedelta
from typing import Unpack

from agent_runtime.manager.jobs.request import JobOptions, JobRequest
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.methods.context import ManagerBase


class BulkMethods(ManagerBase):
    """Bulk deletion, sweep and pruning."""

    async def delete_user_sessions(self, user_id: str) -> int:
        """Deletes all sessions of a user; how many there were. None can be read from the first moment on.

        Example:
            >>> await manager.delete_user_sessions("user_123")
            3
        """
        return await self._do(self.jobs.user_deletion(user_id))

    async def delete_agent_sessions(self, agent_id: str) -> int:
        """Deletes all sessions of an agent; how many there were. None can be read from the first moment on.

        Example:
            >>> await manager.delete_agent_sessions("chatbot")
            3
        """
        return await self._do(self.jobs.agent_deletion(agent_id))

    async def cleanup_expired_sessions(self) -> int:
        """Removes what is left in the indexes of sessions that ran out; how many sessions.

        Lists and counts are right without it. Each session is counted once, whoever sweeps.

        Example:
            >>> await manager.cleanup_expired_sessions()
            12
        """
        return await self._do(self.jobs.sweep())

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
        return await self._do(self.jobs.pruning(session_id, agent_id, keep_last, older_than))

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
        spec = self.jobs.user_deletion(user_id)
        return (await self.jobs.open(spec, JobRequest.checked(job_id, **options))).job_id

    async def revoke_agent_sessions(
        self, agent_id: str, job_id: str | None = None, **options: Unpack[JobOptions]
    ) -> str:
        """Makes all sessions of an agent unreadable at once; otherwise as `revoke_user_sessions`.

        Example:
            >>> job_id = await manager.revoke_agent_sessions("chatbot")
        """
        spec = self.jobs.agent_deletion(agent_id)
        return (await self.jobs.open(spec, JobRequest.checked(job_id, **options))).job_id

    async def _do(self, spec: JobSpec) -> int:
        """How much was removed by doing the work beside any job that is open: the count is of this call."""
        opened = await self.jobs.open(spec, JobRequest.checked(), join=False)
        return (await self.jobs.run(opened.job_id)).removed
