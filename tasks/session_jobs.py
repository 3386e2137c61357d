"""The async face of jobs for callers: enqueue bulk work, list it, and preview it."""

import asyncio
from datetime import timedelta
from typing import Unpack

from celery import Celery

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import (
    JobFilter,
    JobKind,
    JobOptions,
    JobPage,
    JobRequest,
    JobSpec,
    JobState,
    Preview,
)
from agent_runtime.tasks.job import Job
from agent_runtime.tasks.publisher import Publisher


class SessionJobs:
    """Enqueues bulk work. Deletions take effect before the methods return, whether a worker runs or not.

    If a job with the same work is open, each method joins that job: a deletion takes what was created
    meanwhile into it. All take the keyword arguments of `JobOptions`.

    Args:
        manager: whose store the jobs are about.
        app: the caller's own Celery app, if its workers run the jobs (see `install_tasks`). By default, jobs
            go to workers of this package's app.

    Raises (each method that enqueues):
        InvalidArgumentError: an argument is not acceptable; nothing was changed.
        TooManyAffectedError: more than `max_affected` would go; nothing was changed.
        StoreError: the store could not be reached or refused.
        EnqueueError: the job is open and what it revokes is revoked, but the broker did not accept the
            message; the next run of `tasks.resume_stalled_jobs` enqueues it.

    Example:
        >>> jobs = SessionJobs(manager)
        >>> job = await jobs.delete_agent_sessions("chatbot", grace=timedelta(hours=1), reason="retired")
        >>> await job.undo()
    """

    def __init__(self, manager: SessionManager, *, app: Celery | None = None) -> None:
        self._manager = manager
        self._publisher = Publisher(manager.settings, app)

    async def delete_user_sessions(self, user_id: str, **options: Unpack[JobOptions]) -> Job:
        """Revoke all sessions of a user at once and enqueue the reclaiming of their memory.

        Example:
            >>> job = await jobs.delete_user_sessions("user_123", reason="asked to be forgotten")
        """
        return await self.enqueue(self._manager.jobs.user_deletion(user_id), **options)

    async def delete_agent_sessions(self, agent_id: str, **options: Unpack[JobOptions]) -> Job:
        """Revoke all sessions of an agent at once and enqueue the reclaiming of their memory.

        Example:
            >>> job = await jobs.delete_agent_sessions("chatbot", grace=timedelta(hours=1))
        """
        return await self.enqueue(self._manager.jobs.agent_deletion(agent_id), **options)

    async def prune_checkpoints(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Enqueue a pruning (arguments as in `SessionManager.prune_checkpoints`).

        Example:
            >>> job = await jobs.prune_checkpoints(agent_id="chatbot", keep_last=5)
        """
        spec = self._manager.jobs.pruning(session_id, agent_id, keep_last, older_than)
        return await self.enqueue(spec, **options)

    async def cleanup_expired_sessions(self, **options: Unpack[JobOptions]) -> Job:
        """Enqueue a sweep of expired sessions.

        Example:
            >>> (await (await jobs.cleanup_expired_sessions()).wait(timeout=60)).removed
            12
        """
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
        """Return what a job of any kind would remove now. Changes nothing, as all previews.

        Example:
            >>> (await jobs.preview(Pruning(keep_last=5))).affected
            40
        """
        return await self._manager.jobs.preview(spec)

    async def preview_user_deletion(self, user_id: str) -> Preview:
        """Return what `delete_user_sessions` would remove now.

        Example:
            >>> (await jobs.preview_user_deletion("user_123")).sessions
            3
        """
        return await self.preview(self._manager.jobs.user_deletion(user_id))

    async def preview_agent_deletion(self, agent_id: str) -> Preview:
        """Return what `delete_agent_sessions` would remove now.

        Example:
            >>> (await jobs.preview_agent_deletion("chatbot")).sessions
            3
        """
        return await self.preview(self._manager.jobs.agent_deletion(agent_id))

    async def preview_pruning(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
    ) -> Preview:
        """Return what `prune_checkpoints` would remove now.

        Example:
            >>> (await jobs.preview_pruning(keep_last=5)).checkpoints
            40
        """
        return await self.preview(self._manager.jobs.pruning(session_id, agent_id, keep_last, older_than))

    async def preview_sweep(self) -> Preview:
        """Return what `cleanup_expired_sessions` would remove now.

        Example:
            >>> (await jobs.preview_sweep()).sessions
            12
        """
        return await self.preview(self._manager.jobs.sweep())

    def get(self, job_id: str) -> Job:
        """Return a handle on a job by its id.

        Example:
            >>> jobs.get("job_9k2Zt0c").id
            'job_9k2Zt0c'
        """
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
        """Return a page of jobs, newest first, as long as their records are kept.

        Args:
            state, kind, target: only jobs with this state, of this kind, about this user, agent or session.
            limit: most jobs on the page, up to 1,000.
            cursor: of the page before, to go on behind it.

        Example:
            >>> page = await jobs.list(state=JobState.FAILED)
            >>> [job.error for job in page.jobs]
        """
        chosen = JobFilter(state, kind, target)
        return await self._manager.jobs.list(chosen, limit=limit, cursor=cursor)
