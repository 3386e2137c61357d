"""The enqueueing side: bulk work as jobs that a caller can watch and wait for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Unpack

from agent_runtime.manager import SessionManager, StoreError
from agent_runtime.manager.jobs import (
    EnqueueError,
    JobCancelledError,
    JobFailedError,
    JobFilter,
    JobKind,
    JobOptions,
    JobPage,
    JobProgress,
    JobRequest,
    JobSpec,
    JobState,
    JobWaitTimeoutError,
    Preview,
)
from agent_runtime.tasks.publisher import Publisher

#: Pause between two looks at a job, seconds: short for short jobs, growing for long ones.
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.02, 0.5, 1.5


class Job:
    """A bulk job. Its truth is the record in Redis; this is a handle on it.

    Example:
        >>> job = await SessionJobs(manager).delete_user_sessions("user_123")
        >>> (await job.wait(timeout=60)).removed
        3
    """

    def __init__(self, manager: SessionManager, publisher: Publisher, job_id: str) -> None:
        self._manager = manager
        self._publisher = publisher
        #: Id of the job, and of its Celery task.
        self.id = job_id

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    async def progress(self) -> JobProgress:
        """How far the job is.

        Raises:
            JobNotFoundError: its record was kept for its time and is gone.
        """
        return await self._manager.jobs.progress(self.id)

    async def watch(self) -> AsyncIterator[JobProgress]:
        """How far the job is, again and again until it ends: done, failed, cancelled or undone.

        Example:
            >>> async for progress in job.watch():
            ...     print(f"{progress.done}/{progress.total}")
        """
        pause = _FIRST_PAUSE
        while True:
            progress = await self.progress()
            yield progress
            if progress.state.ended:
                return
            await asyncio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    async def wait(self, timeout: float | None = None) -> JobProgress:
        """Waits until the job is done, for at most `timeout` seconds; its final progress, with the receipt of
        a deletion.

        Raises:
            JobWaitTimeoutError: it is still open (a `TimeoutError`). The job itself goes on.
            JobFailedError: it has failed. What it revoked stays revoked, and it can be resumed.
            JobCancelledError: it was cancelled or undone.
        """
        last = await self.progress()
        try:
            async with asyncio.timeout(timeout):
                async for progress in self.watch():
                    last = progress
        except StoreError:
            raise
        except TimeoutError as error:
            raise JobWaitTimeoutError(
                f"job {self.id!r} is still open after {timeout} s ({last.state}); is a worker running?"
            ) from error
        if last.state is JobState.FAILED:
            raise JobFailedError(f"job {self.id!r} has failed: {last.error}. resume() tries again")
        if last.state is not JobState.DONE:
            raise JobCancelledError(f"job {self.id!r} was {last.state}; it had removed {last.removed}")
        return last

    async def pause(self) -> JobProgress:
        """Stops the work within a batch, until `resume()`. What is revoked stays revoked.

        Raises (as `resume`, `cancel` and `undo`):
            JobNotFoundError: no such job, or its record is gone.
            JobStateError: the job's state does not allow it; nothing was changed.
        """
        return await self._manager.jobs.control(self.id, "pause")

    async def resume(self) -> JobProgress:
        """Goes on with a job that is paused, cancelled or failed.

        Raises:
            EnqueueError: the job is open again, but the broker did not take the message; the next run of
                `tasks.resume_stalled_jobs` enqueues it.
        """
        progress = await self._manager.jobs.control(self.id, "resume")
        await self._ring()
        return progress

    async def cancel(self) -> JobProgress:
        """Stops the work within a batch, for good. What is revoked stays revoked, and `resume()` takes the
        rest of the work up again.
        """
        progress = await self._manager.jobs.control(self.id, "cancel")
        await self._tell_the_task()
        return progress

    async def undo(self) -> JobProgress:
        """Takes back a job that has not begun: every session that it revoked is there again, exactly as it
        was. Sessions created since stay; those that expired since stay gone.

        Should the caller die on the way, a worker completes it.
        """
        await self._manager.jobs.control(self.id, "undo")
        progress = await self._manager.jobs.run(self.id)
        await self._tell_the_task()
        return progress

    async def _ring(self) -> None:
        job = await self._manager.jobs.read(self.id)
        await asyncio.to_thread(self._publisher.publish, job)

    async def _tell_the_task(self) -> None:
        """Ends the job's Celery task, for callers that wait for its result. The job does not depend on it."""
        with suppress(EnqueueError):
            await self._ring()


class SessionJobs:
    """Enqueues bulk work. Deletions take effect before the methods return, whether a worker runs or not.

    Asked for the same work while a job with it is open, each method joins that job: a deletion takes what was
    created meanwhile into it. All take the keyword arguments of `JobOptions`.

    Args:
        manager: whose store the jobs are about.

    Raises (each method that enqueues):
        InvalidArgumentError: an argument is not acceptable; nothing was changed.
        TooManyAffectedError: more than `max_affected` would go; nothing was changed.
        StoreError: the store could not be reached or refused.
        EnqueueError: the job is open and what it revokes is revoked, but the broker did not take the
            message; the next run of `tasks.resume_stalled_jobs` enqueues it.

    Example:
        >>> jobs = SessionJobs(manager)
        >>> job = await jobs.delete_agent_sessions("chatbot", grace=timedelta(hours=1), reason="retired")
        >>> await job.undo()
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._publisher = Publisher(manager.settings)

    async def delete_user_sessions(self, user_id: str, **options: Unpack[JobOptions]) -> Job:
        """Revokes all sessions of a user at once and enqueues reclaiming their memory."""
        return await self.enqueue(self._manager.jobs.user_deletion(user_id), **options)

    async def delete_agent_sessions(self, agent_id: str, **options: Unpack[JobOptions]) -> Job:
        """Revokes all sessions of an agent at once and enqueues reclaiming their memory."""
        return await self.enqueue(self._manager.jobs.agent_deletion(agent_id), **options)

    async def prune_checkpoints(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Enqueues a pruning (arguments as in `SessionManager.prune_checkpoints`)."""
        spec = self._manager.jobs.pruning(session_id, agent_id, keep_last, older_than)
        return await self.enqueue(spec, **options)

    async def cleanup_expired_sessions(self, **options: Unpack[JobOptions]) -> Job:
        """Enqueues a sweep of what expired."""
        return await self.enqueue(self._manager.jobs.sweep(), **options)

    async def enqueue(self, spec: JobSpec, **options: Unpack[JobOptions]) -> Job:
        """Open a job of any kind and enqueue it. The methods above are short for this one.

        Example:
            >>> job = await jobs.enqueue(UserDeletion("user_123"), reason="asked to be forgotten")
        """
        opened = await self._manager.jobs.open(spec, JobRequest.checked(**options))
        if not opened.record.state.ended:
            await asyncio.to_thread(self._publisher.publish, opened.record)
        return self.get(opened.job_id)

    async def preview(self, spec: JobSpec) -> Preview:
        """Return what a job of any kind would remove now. Changes nothing."""
        return await self._manager.jobs.preview(spec)

    async def preview_user_deletion(self, user_id: str) -> Preview:
        """What `delete_user_sessions` would remove now. Changes nothing, as all previews.

        Example:
            >>> (await jobs.preview_user_deletion("user_123")).sessions
            3
        """
        return await self.preview(self._manager.jobs.user_deletion(user_id))

    async def preview_agent_deletion(self, agent_id: str) -> Preview:
        """What `delete_agent_sessions` would remove now."""
        return await self.preview(self._manager.jobs.agent_deletion(agent_id))

    async def preview_pruning(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
    ) -> Preview:
        """What `prune_checkpoints` would remove now."""
        return await self.preview(self._manager.jobs.pruning(session_id, agent_id, keep_last, older_than))

    async def preview_sweep(self) -> Preview:
        """What `cleanup_expired_sessions` would remove now."""
        return await self.preview(self._manager.jobs.sweep())

    def get(self, job_id: str) -> Job:
        """A handle on a job by its id."""
        return Job(self._manager, self._publisher, job_id)

    async def list(
        self,
        *,
        state: JobState | None = None,
        kind: JobKind | None = None,
        target: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage:
        """Jobs, newest first, as long as their records are kept.

        Args:
            state, kind, target: only jobs with this state, of this kind, about this user, agent or session.
            limit: most jobs on the page, up to 1,000.
            cursor: that of the page before, to go on behind it.

        Example:
            >>> page = await jobs.list(state=JobState.FAILED)
            >>> [job.error for job in page.jobs]
        """
        chosen = JobFilter(state, kind, target)
        return await self._manager.jobs.list(chosen, limit=limit, cursor=cursor)
