"""The enqueueing side: bulk work as jobs that a caller can watch and wait for."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from manager import JobProgress, JobWaitTimeoutError, SessionManager, StoreError
from tasks.doorbell import Doorbell

#: Pause between two looks at a job, seconds: short for short jobs, growing for long ones.
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.02, 0.5, 1.5


class Job:
    """A bulk job. Its truth is the record in Redis; this is a handle on it.

    Example:
        >>> job = await SessionJobs(manager).delete_user_sessions("user_123")
        >>> (await job.wait(timeout=60)).removed
        3
    """

    def __init__(self, manager: SessionManager, job_id: str) -> None:
        self._manager = manager
        #: Id of the job, and of its Celery task.
        self.id = job_id

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    async def progress(self) -> JobProgress:
        """How far the job is.

        Raises:
            JobNotFoundError: its record was kept for its time and is gone.
        """
        return await self._manager.ledger.progress(self.id)

    async def watch(self) -> AsyncIterator[JobProgress]:
        """How far the job is, again and again until it is done.

        Example:
            >>> async for progress in job.watch():
            ...     print(f"{progress.done}/{progress.total}")
        """
        pause = _FIRST_PAUSE
        while True:
            progress = await self.progress()
            yield progress
            if progress.finished:
                return
            await asyncio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    async def wait(self, timeout: float | None = None) -> JobProgress:
        """Waits until the job is done, for at most `timeout` seconds; its final progress.

        Raises:
            JobWaitTimeoutError: it is still open (a `TimeoutError`). The job itself goes on.
        """
        try:
            async with asyncio.timeout(timeout):
                async for progress in self.watch():
                    last = progress
        except StoreError:
            raise
        except TimeoutError as error:
            raise JobWaitTimeoutError(
                f"job {self.id!r} is still open after {timeout} s; is a worker running?"
            ) from error
        return last


class SessionJobs:
    """Enqueues bulk work. Deletions take effect before the methods return, whether a worker runs or not.

    Args:
        manager: whose store the jobs are about.

    Raises (each method):
        InvalidArgumentError: an argument is not acceptable; nothing was changed.
        StoreError: the store could not be reached or refused.
        EnqueueError: the job is open and what it revokes is revoked, but the broker did not take the
            message; the next run of `tasks.resume_stalled_jobs` enqueues it.

    Example:
        >>> job = await SessionJobs(manager).delete_agent_sessions("chatbot")
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._doorbell = Doorbell(manager.settings)

    async def delete_user_sessions(self, user_id: str) -> Job:
        """Revokes all sessions of a user at once and enqueues reclaiming their memory."""
        return await self._enqueue(await self._manager.revoke_user_sessions(user_id))

    async def delete_agent_sessions(self, agent_id: str) -> Job:
        """Revokes all sessions of an agent at once and enqueues reclaiming their memory."""
        return await self._enqueue(await self._manager.revoke_agent_sessions(agent_id))

    async def prune_checkpoints(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
    ) -> Job:
        """Enqueues a pruning (arguments as in `SessionManager.prune_checkpoints`), or joins the same one."""
        policy = self._manager.prune_policy(session_id, agent_id, keep_last, older_than)
        return await self._enqueue(await self._manager.ledger.open_pruning(policy, join=True))

    async def cleanup_expired_sessions(self) -> Job:
        """Enqueues a sweep of what expired, or joins the one that is open."""
        return await self._enqueue(await self._manager.ledger.open_sweep(join=True))

    def get(self, job_id: str) -> Job:
        """A handle on a job by its id."""
        return Job(self._manager, job_id)

    async def _enqueue(self, job_id: str) -> Job:
        job = Job(self._manager, job_id)
        progress = await job.progress()
        if not progress.finished:
            await asyncio.to_thread(self._doorbell.ring, progress)
        return job
