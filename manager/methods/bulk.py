"""Methods of `SessionManager` that sweep, prune, and delete all sessions of a user or an agent.

Each does its whole work before it returns. For work that may be large use `agent_runtime.SessionJobs`, which
leaves it to workers.
"""

from datetime import timedelta
from typing import Unpack

from agent_runtime.manager.jobs.jobs import Jobs
from agent_runtime.manager.jobs.request import JobOptions, JobRequest
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.methods.context import Facet


class BulkMethods(Facet):
    """Deletes in bulk, sweeps and prunes."""

    async def delete_user_sessions(self, user_id: str) -> int:
        """Delete all sessions of a user. None of them can be read from the first moment on.

        Returns:
            The number of sessions deleted.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`); nothing was deleted.

        Example:
            >>> await manager.delete_user_sessions("user_123")
            3
        """
        jobs = self._context.jobs
        return await _do(jobs, jobs.user_deletion(user_id))

    async def delete_agent_sessions(self, agent_id: str) -> int:
        """Delete all sessions of an agent. None of them can be read from the first moment on.

        Returns:
            The number of sessions deleted.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`); nothing was deleted.

        Example:
            >>> await manager.delete_agent_sessions("chatbot")
            3
        """
        jobs = self._context.jobs
        return await _do(jobs, jobs.agent_deletion(agent_id))

    async def cleanup_expired_sessions(self) -> int:
        """Remove what is left of expired sessions in the indexes.

        Lists and counts are right without this call.

        Returns:
            The number of sessions cleaned up. Each expired session is counted once, whoever sweeps.

        Example:
            >>> await manager.cleanup_expired_sessions()
            12
        """
        jobs = self._context.jobs
        with self._context.copies.removing_checkpoints():
            return await _do(jobs, jobs.sweep())

    async def prune_checkpoints(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
    ) -> int:
        """Remove old checkpoints of one session, of an agent's sessions, or of all sessions.

        The newest checkpoint of a session is never removed, nor is a pinned one.

        Args:
            session_id: prune only this session.
            agent_id: prune only the sessions of this agent.
            keep_last: keep this many of the newest checkpoints of each session.
            older_than: remove checkpoints of this age (seconds or timedelta) and more. If both limits are
                given, a checkpoint over either is removed.

        Returns:
            The number of checkpoints removed.

        Raises:
            InvalidArgumentError: there is no limit, or both a session and an agent, or a value is out of
                range (a `ValueError`); nothing was removed.

        Example:
            >>> await manager.prune_checkpoints(agent_id="chatbot", keep_last=5)
            40
        """
        jobs = self._context.jobs
        spec = jobs.pruning(session_id, agent_id, keep_last, older_than)
        with self._context.copies.removing_checkpoints(session_id):
            return await _do(jobs, spec)

    async def revoke_user_sessions(
        self, user_id: str, job_id: str | None = None, **options: Unpack[JobOptions]
    ) -> str:
        """Make all sessions of a user unreadable at once, and open the job that reclaims their memory.

        The call takes the same time however many sessions there are. Sessions created later are not touched.
        If a deletion of the same user is open, the request joins it. A call repeated with the same `job_id`
        changes nothing.

        Args:
            user_id: the user.
            job_id: an id from `agent_runtime.manager.jobs.new_job_id()`, for a caller who may have to repeat
                the call.
            options: `requested_by`, `reason`, `grace`, `max_affected`, `idempotency_key`; see `JobOptions`.

        Returns:
            The id of the job.

        Raises:
            InvalidArgumentError: an argument is not acceptable (a `ValueError`); nothing was changed.
            TooManyAffectedError: there are more than `max_affected` sessions; nothing was changed.

        Example:
            >>> job_id = await manager.revoke_user_sessions("user_123", reason="asked to be forgotten")
            >>> await manager.get_sessions_by_user("user_123")
            []
        """
        jobs = self._context.jobs
        opened = await jobs.open(jobs.user_deletion(user_id), JobRequest.checked(job_id, **options))
        return opened.job_id

    async def revoke_agent_sessions(
        self, agent_id: str, job_id: str | None = None, **options: Unpack[JobOptions]
    ) -> str:
        """Make all sessions of an agent unreadable at once, as `revoke_user_sessions` does for a user.

        Returns:
            The id of the job.

        Raises:
            InvalidArgumentError: an argument is not acceptable (a `ValueError`); nothing was changed.
            TooManyAffectedError: there are more than `max_affected` sessions; nothing was changed.

        Example:
            >>> job_id = await manager.revoke_agent_sessions("chatbot")
        """
        jobs = self._context.jobs
        opened = await jobs.open(jobs.agent_deletion(agent_id), JobRequest.checked(job_id, **options))
        return opened.job_id


async def _do(jobs: Jobs, spec: JobSpec) -> int:
    """Do the work beside any open job, so that the count is of this call. Return how much was removed."""
    opened = await jobs.open(spec, JobRequest.checked(), join=False)
    return (await jobs.run(opened.job_id)).removed
