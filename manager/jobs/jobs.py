"""The one door to bulk jobs: for `SessionManager`, for tasks and for workers."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from datetime import timedelta

from agent_runtime.manager.errors import InvalidArgumentError
from agent_runtime.manager.jobs.completer import JobCompleter
from agent_runtime.manager.jobs.job_store import JobStore, OpenedJob
from agent_runtime.manager.jobs.kinds import AgentDeletion, Pruning, Sweep, UserDeletion
from agent_runtime.manager.jobs.listing import JobFilter
from agent_runtime.manager.jobs.preview import Previewer
from agent_runtime.manager.jobs.receipts import Receipts
from agent_runtime.manager.jobs.records import Record, Records
from agent_runtime.manager.jobs.request import JobRequest
from agent_runtime.manager.jobs.runner import Runner, Step
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.keys import Partitions
from agent_runtime.manager.models.jobs import JobPage, JobProgress, Preview
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_age_seconds, check_id, shown

#: Entered around each revocation of all sessions of a user or an agent: `revoking(user_id=…)`.
Revoking = Callable[..., AbstractContextManager[None]]


class Jobs:
    """The bulk jobs of one namespace.

    Args:
        revoking: entered around each revocation, so that copies of revoked sessions are dropped.

    Example:
        >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
        >>> (await manager.jobs.run(opened.job_id)).removed
        3
    """

    def __init__(
        self, client: ScriptClient, partitions: Partitions, settings: Settings, revoking: Revoking
    ) -> None:
        records = Records(client, partitions)
        #: Proofs of the deletions in this namespace.
        self.receipts = Receipts(client, partitions, settings)
        self._settings = settings
        self._revoking = revoking
        self._store = JobStore(
            records,
            Previewer(client, partitions, settings),
            JobCompleter(records, self.receipts, settings),
            settings,
        )
        self._runner = Runner(records, self._store, settings)

    def user_deletion(self, user_id: str) -> JobSpec:
        """Return the job that deletes all sessions of a user.

        Raises:
            InvalidArgumentError: the id is not acceptable.

        Example:
            >>> manager.jobs.user_deletion("user_123")
            UserDeletion(user_id='user_123')
        """
        return self._checked(UserDeletion(user_id))

    def agent_deletion(self, agent_id: str) -> JobSpec:
        """Return the job that deletes all sessions of an agent. Raises as `user_deletion`.

        Example:
            >>> manager.jobs.agent_deletion("chatbot").target
            'chatbot'
        """
        return self._checked(AgentDeletion(agent_id))

    def sweep(self) -> JobSpec:
        """Return the job that removes what is left of expired sessions.

        Example:
            >>> manager.jobs.sweep()
            Sweep()
        """
        return Sweep()

    def pruning(
        self,
        session_id: str | None = None,
        agent_id: str | None = None,
        keep_last: int | None = None,
        older_than: float | timedelta | None = None,
        except_agents: list[str] | None = None,
    ) -> JobSpec:
        """Return the job that removes old checkpoints.

        Args:
            session_id, agent_id, keep_last, older_than: as in `SessionManager.prune_checkpoints`.
            except_agents: agents whose sessions are left alone.

        Raises:
            InvalidArgumentError: no limit at all, both a session and an agent, or a value out of range.

        Example:
            >>> manager.jobs.pruning(agent_id="chatbot", keep_last=5).params
            {'agent_id': 'chatbot', 'keep_last': 5}
        """
        if not isinstance(except_agents, list | None):  # a text would be the list of its letters
            raise InvalidArgumentError(f"except_agents must be a list of ids, not {shown(except_agents)}")
        max_id_bytes = self._settings.max_id_bytes
        spared = {check_id("except_agents", each, max_id_bytes) for each in except_agents or ()}
        age = None if older_than is None else check_age_seconds("older_than", older_than)
        return self._checked(
            Pruning(session_id, agent_id, keep_last, age, except_agents=tuple(sorted(spared)) or None)
        )

    async def open(self, spec: JobSpec, request: JobRequest | None = None, *, join: bool = True) -> OpenedJob:
        """Open a job. A deletion revokes its sessions with this step, whether a worker runs or not.

        Args:
            spec: what the job does.
            request: the caller's options; without one, a new job without any.
            join: whether to join a job with the same spec if one is open.

        Raises:
            InvalidArgumentError: the id or the idempotency key is that of another job.
            JobStateError: a job with the same spec is being undone at this moment.
            TooManyAffectedError: more than `max_affected` would go; nothing was changed.

        Example:
            >>> (await manager.jobs.open(manager.jobs.user_deletion("user_123"))).added
            3
        """
        target = spec.params if spec.deletes else {}
        with self._revoking(user_id=target.get("user_id"), agent_id=target.get("agent_id")):
            return await self._store.open(spec, request, join=join)

    async def preview(self, spec: JobSpec) -> Preview:
        """Return what the job would remove if it were opened now. Changes nothing.

        Example:
            >>> (await manager.jobs.preview(manager.jobs.sweep())).sessions
            12
        """
        return await self._store.preview(spec)

    async def progress(self, job_id: str) -> JobProgress:
        """Return how far the job is.

        Raises:
            JobNotFoundError: unknown id, or the job's record has expired.

        Example:
            >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
            >>> (await manager.jobs.progress(opened.job_id)).total
            3
        """
        return await self._store.progress(job_id)

    async def read(self, job_id: str) -> Record:
        """Return the job's record. Raises as `progress`.

        Example:
            >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
            >>> (await manager.jobs.read(opened.job_id)).state
            <JobState.QUEUED: 'queued'>
        """
        return await self._store.read(job_id)

    async def take_stalled(self, limit: int = 1_000) -> list[str]:
        """Return ids of open jobs that are due, or that no worker has touched for `stalled_after_seconds`.

        A job taken is not taken again for as long, and then, until a slice of it begins, for twice as long
        each time.

        Args:
            limit: about how many to take; from each partition at least one.

        Example:
            >>> await manager.jobs.take_stalled(limit=20)
            []
        """
        return await self._store.take_stalled(limit)

    async def list(
        self, chosen: JobFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs, newest first.

        Example:
            >>> page = await manager.jobs.list(JobFilter(state=JobState.FAILED))
        """
        return await self._store.list_jobs(chosen, limit=limit, cursor=cursor)

    async def control(self, job_id: str, action: str) -> JobProgress:
        """Pause, resume, cancel or undo the job, and return how far it is then.

        An undo has only begun then: working on the job completes it.

        Raises:
            JobNotFoundError: unknown id, or the job's record has expired.
            JobStateError: the job's state does not allow the action; nothing was changed.

        Example:
            >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
            >>> (await manager.jobs.control(opened.job_id, "pause")).state
            <JobState.PAUSED: 'paused'>
        """
        return await self._store.control(job_id, action)

    async def run(self, job_id: str) -> JobProgress:
        """Work on the job until it ends or is stopped, and return how far it is then.

        Raises:
            JobNotFoundError: unknown id, or the job's record has expired.

        Example:
            >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
            >>> (await manager.jobs.run(opened.job_id)).removed
            3
        """
        return await self._runner.run(job_id)

    async def run_slice(self, job_id: str) -> JobProgress:
        """Work on the job for one slice, and return how far it is then. Raises as `run`.

        Example:
            >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
            >>> (await manager.jobs.run_slice(opened.job_id)).done
            3
        """
        return await self._runner.run_slice(job_id)

    def steps(self, job_id: str, shard: int = 0, number: int | None = None) -> AsyncGenerator[Step]:
        """Work on a job for one slice, and yield how far it is: at its beginning, every second, at its end.

        Args:
            shard: 0, or another number for work on the same job beside it.
            number: of the slice, so that of two messages for one slice the later is void; None for the next.

        Yields nothing if another message for the same slice came first. Raises as `Runner.steps`.

        Example:
            >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
            >>> async for step in manager.jobs.steps(opened.job_id):
            ...     print(step.progress.done)
            0
            3
        """
        return self._runner.steps(job_id, shard, number)

    def _checked(self, spec: JobSpec) -> JobSpec:
        spec.check(self._settings.max_id_bytes)
        return spec
