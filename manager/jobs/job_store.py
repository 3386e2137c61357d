"""The ledger of bulk jobs: opening them, reading them, and saying how they are to go on.

A job over several partitions has a record of its part in each, all with the same id.
"""

import asyncio
from typing import NamedTuple

from agent_runtime.manager.errors import InvalidArgumentError, JobStateError, TooManyAffectedError
from agent_runtime.manager.jobs.completer import JobCompleter
from agent_runtime.manager.jobs.listing import JobFilter, list_jobs
from agent_runtime.manager.jobs.preview import Previewer
from agent_runtime.manager.jobs.records import Record, Records
from agent_runtime.manager.jobs.request import JobRequest
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.models.jobs import JobKind, JobPage, JobProgress, Preview
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.settings import Settings

#: Stalled jobs that are taken at once, if nothing else is said.
_STALLED_PER_LOOK = 1_000

#: What to do instead, where a job's state does not allow something.
_ADVICE = {
    "pause": "only a job that is scheduled, queued or running can be paused",
    "resume": "only a job that is paused, cancelled or failed can be resumed",
    "cancel": "only a job that is open can be cancelled",
    "undo": "only a job that has not begun can be undone, and nothing was changed; cancel() stops one"
    " that has, and leaves what is not reclaimed yet revoked",
}


class OpenedJob(NamedTuple):
    """What a request for a job came to."""

    job_id: str
    #: Sessions that this request added to the job's work.
    added: int


class JobStore:
    """The records of bulk jobs in one namespace."""

    def __init__(
        self, records: Records, previewer: Previewer, completer: JobCompleter, settings: Settings
    ) -> None:
        self._records = records
        self._client = records.client
        self._partitions = records.partitions
        self._previewer = previewer
        self._completer = completer
        self._settings = settings
        self._retention_ms = settings.job_retention_seconds * 1000
        self._stalled_after_ms = round(settings.stalled_after_seconds * 1000)

    async def open(self, spec: JobSpec, request: JobRequest | None = None, *, join: bool = True) -> OpenedJob:
        """Opens a job: for a deletion, this revokes its sessions. With `join`, the request joins a job with
        the same work if one is open. Repeated with the same order, it changes nothing.

        The home part is written first: should the caller die before all others are, a worker that finds it
        marked so completes them.

        Raises:
            InvalidArgumentError: the id or the idempotency key is that of other work.
            JobStateError: the same work is being undone at this moment.
            TooManyAffectedError: more than `max_affected` would go; nothing was changed.
        """
        request = request or JobRequest.checked()
        home, *others = spec.scope(self._partitions)
        await self._refuse_id_of_other_work(spec, request)
        allowed, elsewhere = await self._allowance(spec, request)
        reply = await scripts.open_job(
            self._client,
            home,
            spec.target(home),
            request_id=request.job_id,
            kind=spec.kind,
            params=spec.params_json,
            retention_ms=self._retention_ms,
            join=join,
            others=bool(others),
            grace_ms=request.grace_ms,
            silence_ms=self._stalled_after_ms,
            max_affected=allowed,
            details=request.details,
        )
        self._check_opened(reply, request, elsewhere)
        added = reply.added
        if reply.number:
            added += await self._open_others(
                spec, reply.job_id, request.job_id, reply.number, request.grace_ms
            )
        if added == 0 and request.grace_ms == 0:
            await self._complete_if_nothing_to_do(reply.job_id)
        return OpenedJob(reply.job_id, added)

    async def preview(self, spec: JobSpec) -> Preview:
        """What the job would remove if it were opened now. Changes nothing."""
        return await self._previewer.preview(spec)

    async def progress(self, job_id: str) -> JobProgress:
        """How far the job is.

        Raises:
            JobNotFoundError: no such job, or its record is gone.
        """
        return (await self._records.read(job_id)).progress()

    async def read(self, job_id: str) -> Record:
        """The job's record. Raises as `progress`."""
        return await self._records.read(job_id)

    async def read_opened(self, job_id: str) -> Record:
        """The job's record, once all its parts are there. Raises as `progress`."""
        job = await self._records.read(job_id)
        request_id = job.home.fields.get("opening")
        if request_id is None:
            return job
        await self._open_others(job.spec, job.job_id, request_id, int(job.home.fields["joins"]), grace_ms=0)
        return await self._records.read(job_id)

    async def list_jobs(
        self, chosen: JobFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Jobs, newest first."""
        return await list_jobs(self._records, chosen or JobFilter(), limit, cursor)

    async def control(self, job_id: str, action: str) -> JobProgress:
        """Has the job `pause`, `resume`, `cancel` or `undo`; how far it is then.

        An undo has only begun then: working on the job completes it.

        Raises:
            JobNotFoundError: no such job, or its record is gone.
            JobStateError: the job's state does not allow it; nothing was changed.
        """
        job = await self._records.read(job_id)
        allowed, state = await scripts.control_job(
            self._client,
            job.home.keys,
            job.job_id,
            spec=job.spec.name,
            action=action,
            silence_ms=self._stalled_after_ms,
            retention_ms=self._retention_ms,
        )
        if not allowed:
            begun = " and has begun" if action == "undo" and "started" in job.home.fields else ""
            raise JobStateError(f"job {job.job_id!r} is {state}{begun}: {_ADVICE[action]}")
        await self._records.keep_others(job, self._retention_ms)
        return await self.progress(job_id)

    async def complete(self, job: Record) -> None:
        """Ends a job whose work is done, unless a request has joined since it was read."""
        await self._completer.complete(job)

    async def take_stalled(self, limit: int = _STALLED_PER_LOOK) -> list[str]:
        """Ids of open jobs that are due, or that nobody has worked on for `stalled_after_seconds`, for the
        caller to ring for. A job taken is not taken again for as long, and then, until a slice of it
        begins, for twice as long each time.

        Args:
            limit: about how many to take at most; from each partition at least one.
        """
        partitions = self._partitions.all
        share = max(1, limit // len(partitions))
        found = await asyncio.gather(
            *(
                scripts.take_stalled_jobs(self._client, keys, self._stalled_after_ms, share)
                for keys in partitions
            )
        )
        return list(dict.fromkeys(job_id for part in found for job_id in part))

    async def _refuse_id_of_other_work(self, spec: JobSpec, request: JobRequest) -> None:
        """The script that opens the job sees only work with the same home."""
        if request.given and len(self._partitions.all) > 1:
            known = await self._records.work_of(request.job_id)
            if known is not None and known.name != spec.name:
                raise _taken(request.job_id)

    async def _allowance(self, spec: JobSpec, request: JobRequest) -> tuple[int | None, int]:
        """How many the home part may affect, and what lies elsewhere, which is counted just before."""
        if request.max_affected is None:
            return None, 0
        at_home, elsewhere = await self._previewer.affected(spec)
        if elsewhere > request.max_affected and not await self._records.known(request.job_id):
            raise _too_many(at_home + elsewhere, request.max_affected)
        # The script counts sessions; a pruning is measured by its checkpoints, all of them before it.
        allowed = None if spec.kind is JobKind.PRUNE else max(0, request.max_affected - elsewhere)
        return allowed, elsewhere

    def _check_opened(self, reply: scripts.OpenReply, request: JobRequest, elsewhere: int) -> None:
        if reply.word == "CONFLICT":
            raise _taken(request.job_id)
        if reply.word == "UNDOING":
            raise JobStateError(f"job {reply.job_id!r} on the same target is being undone: try again then")
        if reply.word == "TOO_MANY":
            raise _too_many(elsewhere + reply.added, request.max_affected)

    async def _open_others(
        self, spec: JobSpec, job_id: str, request_id: str, number: int, grace_ms: int
    ) -> int:
        home, *others = spec.scope(self._partitions)
        parts = (
            scripts.open_part(
                self._client,
                keys,
                spec.target(keys),
                job_id=job_id,
                kind=spec.kind,
                params=spec.params_json,
                retention_ms=self._retention_ms,
                grace_ms=grace_ms,
                number=number,
            )
            for keys in others
        )
        opened = await asyncio.gather(*parts)
        added = sum(part[0] for part in opened)
        await scripts.mark_opened(
            self._client,
            home,
            job_id,
            request_id,
            added=added,
            kept_ms=max(part[1] for part in opened),
            silence_ms=self._stalled_after_ms,
        )
        return added

    async def _complete_if_nothing_to_do(self, job_id: str) -> None:
        job = await self._records.read(job_id)
        if job.total_of("total") == 0 and not job.state.ended:
            await self.complete(job)


def _taken(job_id: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"job_id {job_id!r} is that of another job; an id (of a job or a Celery task) or an idempotency key"
        " serves one job"
    )


def _too_many(affected: int, allowed: int | None) -> TooManyAffectedError:
    return TooManyAffectedError(
        f"{affected} would go, more than max_affected={allowed}; nothing was changed. A preview shows which"
    )
