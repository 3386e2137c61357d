"""A handle on a bulk job, for callers that watch, control and wait for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from agent_runtime.manager import SessionManager, StoreError
from agent_runtime.manager.jobs import (
    EnqueueError,
    JobCancelledError,
    JobFailedError,
    JobProgress,
    JobState,
    JobWaitTimeoutError,
)
from agent_runtime.tasks.publisher import Publisher

#: Pause between two looks at a job, seconds: short for short jobs, and growing.
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.02, 0.5, 1.5


class Job:
    """A handle on a bulk job, whose truth is its record in Redis.

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
        """Return how far the job is.

        Raises:
            JobNotFoundError: unknown id, or the job's record has expired.

        Example:
            >>> (await job.progress()).state
            <JobState.SCHEDULED: 'scheduled'>
        """
        return await self._manager.jobs.progress(self.id)

    async def watch(self) -> AsyncIterator[JobProgress]:
        """Yield how far the job is, again and again until it ends: done, failed, cancelled or undone.

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
        """Wait until the job is done, for at most `timeout` seconds. Return its final progress, with the
        receipt of a deletion.

        Raises:
            JobWaitTimeoutError: the job is still open (a `TimeoutError`), and goes on.
            JobFailedError: the job has failed. What it revoked stays revoked, and it can be resumed.
            JobCancelledError: the job was cancelled or undone.

        Example:
            >>> (await job.wait(timeout=60)).removed
            3
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
        """Stop the work within a batch, until `resume()`. What is revoked stays revoked.

        Raises (as `resume`, `cancel` and `undo`):
            JobNotFoundError: unknown id, or the job's record has expired.
            JobStateError: the job's state does not allow the action; nothing was changed.

        Example:
            >>> (await job.pause()).state
            <JobState.PAUSED: 'paused'>
        """
        return await self._manager.jobs.control(self.id, "pause")

    async def resume(self) -> JobProgress:
        """Let a job that is paused, cancelled or failed go on.

        Raises:
            EnqueueError: the job is open again, but the broker did not accept the message; the next run of
                `tasks.resume_stalled_jobs` enqueues it.

        Example:
            >>> paused = await job.pause()
            >>> (await job.resume()).state
            <JobState.SCHEDULED: 'scheduled'>
        """
        progress = await self._manager.jobs.control(self.id, "resume")
        await self._publish()
        return progress

    async def cancel(self) -> JobProgress:
        """Stop the work within a batch, for good. What is revoked stays revoked, and `resume()` takes the
        rest of the work up again.

        Example:
            >>> (await job.cancel()).state
            <JobState.CANCELLED: 'cancelled'>
        """
        progress = await self._manager.jobs.control(self.id, "cancel")
        await self._end_task()
        return progress

    async def undo(self) -> JobProgress:
        """Undo a job that has not begun: every session that it revoked is restored, exactly as it was.
        Sessions created since stay; those that expired since stay gone.

        If the caller dies meanwhile, a worker completes the undo.

        Example:
            >>> (await job.undo()).restored
            3
        """
        await self._manager.jobs.control(self.id, "undo")
        progress = await self._manager.jobs.run(self.id)
        await self._end_task()
        return progress

    async def _publish(self) -> None:
        job = await self._manager.jobs.read(self.id)
        await asyncio.to_thread(self._publisher.publish, job)

    async def _end_task(self) -> None:
        """End the job's Celery task, for callers that wait for its result. The job does not depend on it."""
        with suppress(EnqueueError):
            await self._publish()
