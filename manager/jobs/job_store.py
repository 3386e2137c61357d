"""The store of job records: opening jobs, reading them, and saying how they are to go on.

A job over several partitions has a record of its part in each, all with the same id.
"""

import asyncio
from typing import NamedTuple

from agent_runtime.manager.errors import InvalidArgumentError, JobStateError, TooManyAffectedError
from agent_runtime.manager.jobs.completer import JobCompleter
from agent_runtime.manager.jobs.listing import JobFilter, list_jobs
from agent_runtime.manager.jobs.preview import Previewer
from agent_runtime.manager.jobs.records import Part, Record, Records, not_found
from agent_runtime.manager.jobs.request import JobRequest
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.models.jobs import JobPage, JobProgress, Preview
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.scripts.jobs import OpenAnswer, OpenReply, Periods
from agent_runtime.manager.settings import Settings

#: Stalled jobs that are taken at once by default.
_STALLED_PER_LOOK = 1_000

#: Advice for an action that a job's state does not allow.
_ADVICE = {
    "pause": "only a job that is scheduled, queued or running can be paused",
    "resume": "only a job that is paused, cancelled or failed can be resumed",
    "cancel": "only a job that is open can be cancelled",
    "undo": "only a job that has not begun can be undone, and nothing was changed; cancel() stops one"
    " that has, and leaves what is not reclaimed yet revoked",
}


class OpenedJob(NamedTuple):
    """A job that a request has opened or joined.

    Example:
        >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
        >>> (opened.job_id, opened.added)
        ('job_9k2Zt0c', 3)
    """

    job_id: str
    #: Sessions that this request added to the job's work.
    added: int
    #: The job as it is now.
    record: Record


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
        self._periods = Periods(
            settings.job_retention_seconds * 1000, round(settings.stalled_after_seconds * 1000)
        )

    async def open(self, spec: JobSpec, request: JobRequest | None = None, *, join: bool = True) -> OpenedJob:
        """Open a job: for a deletion, this revokes its sessions. With `join`, the request joins a job with
        the same work if one is open. Repeated with the same request, it changes nothing.

        The home part is written first. If the caller dies before all others are written, a worker that finds
        the home part marked so completes them.

        Raises:
            InvalidArgumentError: the id or the idempotency key is that of other work.
            JobStateError: the same work is being undone at this moment.
            TooManyAffectedError: more than `max_affected` would go; nothing was changed.
        """
        request = request or JobRequest.checked()
        home, *others = spec.scope(self._partitions)
        await self._refuse_id_of_other_work(spec, request)
        allowed, elsewhere = await self._allowance(spec, request)
        answer = await scripts.open_job(
            self._client,
            home,
            spec.work_in(home),
            scripts.Request(request.job_id, request.grace_ms, allowed, request.details),
            self._periods,
            join=join,
            has_other_parts=bool(others),
        )
        _check_opened(answer, request, elsewhere)
        added = answer.added
        job = Record(answer.job_id, [Part(home, answer.fields)])
        if answer.number:
            added_elsewhere, job = await self._open_others(
                spec, answer.job_id, request.job_id, answer.number, request.grace_ms
            )
            added += added_elsewhere
        elif others:  # all parts are there already
            job = await self._records.read(answer.job_id)
        job.check()
        has_nothing_to_do = added == 0 and job.total_of("total") == 0 and not job.has_revoked_sets
        if has_nothing_to_do and request.grace_ms == 0 and not job.state.ended:
            job = await self.complete(job)
        return OpenedJob(answer.job_id, added, job)

    async def preview(self, spec: JobSpec) -> Preview:
        """Return what the job would remove if it were opened now. Changes nothing."""
        return await self._previewer.preview(spec)

    async def progress(self, job_id: str) -> JobProgress:
        """Return how far the job is.

        Raises:
            JobNotFoundError: unknown id, or the job's record has expired.
        """
        return (await self._records.read(job_id)).progress()

    async def read(self, job_id: str) -> Record:
        """Return the job's record. Raises as `progress`."""
        return await self._records.read(job_id)

    async def with_all_parts(self, job: Record) -> Record:
        """Return the job with all its parts. If whoever asked for it died before, write those that miss."""
        request_id = job.home.fields.get("opening")
        if request_id is None:
            return job
        joins = int(job.home.fields["joins"])
        _, job = await self._open_others(job.spec, job.job_id, request_id, joins, grace_ms=0)
        job.check()
        return job

    async def list_jobs(
        self, chosen: JobFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs, newest first."""
        return await list_jobs(self._records, chosen or JobFilter(), limit, cursor)

    async def control(self, job_id: str, action: str) -> JobProgress:
        """Pause, resume, cancel or undo the job, and return how far it is then.

        An undo has only begun then: working on the job completes it.

        Raises:
            JobNotFoundError: unknown id, or the job's record has expired.
            JobStateError: the job's state does not allow the action; nothing was changed.
        """
        job = await self._records.read(job_id)
        is_allowed, fields = await scripts.control_job(
            self._client,
            job.home.keys,
            job.job_id,
            spec=job.spec.name,
            action=action,
            periods=self._periods,
        )
        job = self._records.of_home(job.job_id, job.home._replace(fields=fields), job.parts[1:])
        if not is_allowed:
            begun = " and has begun" if action == "undo" and "started" in fields else ""
            raise JobStateError(f"job {job.job_id!r} is {job.state}{begun}: {_ADVICE[action]}")
        await self._records.keep_others(job, self._periods.retention_ms)
        return job.progress()

    async def complete(self, job: Record) -> Record:
        """End a job whose work is done, unless a request has joined since it was read. Return its record."""
        return await self._completer.complete(job)

    async def take_stalled(self, limit: int = _STALLED_PER_LOOK) -> list[str]:
        """Return ids of open jobs that are due, or that nobody has worked on for `stalled_after_seconds`, for
        the caller to publish. A job taken is not taken again for as long, and then, until a slice of it
        begins, for twice as long each time.

        Args:
            limit: about how many to take at most; from each partition at least one.
        """
        partitions = self._partitions.all
        share = max(1, limit // len(partitions))
        found = await asyncio.gather(
            *(
                scripts.take_stalled_jobs(self._client, keys, self._periods.silence_ms, share)
                for keys in partitions
            )
        )
        return list(dict.fromkeys(job_id for part in found for job_id in part))

    async def _refuse_id_of_other_work(self, spec: JobSpec, request: JobRequest) -> None:
        """Refuse an id in use elsewhere: the script that opens the job sees only work with the same home."""
        if request.given and len(self._partitions.all) > 1:
            known = await self._records.spec_of(request.job_id)
            if known is not None and known.name != spec.name:
                raise _taken(request.job_id)

    async def _allowance(self, spec: JobSpec, request: JobRequest) -> tuple[int | None, int]:
        """Return how many the home part may affect, and how many lie elsewhere, which are counted before."""
        if request.max_affected is None:
            return None, 0
        at_home, elsewhere = await self._previewer.affected(spec)
        if elsewhere > request.max_affected and not await self._records.known(request.job_id):
            raise _too_many(at_home + elsewhere, request.max_affected)
        # The script counts sessions; a pruning is measured by its checkpoints, all of them before it.
        allowed = None if spec.unit == "checkpoint" else max(0, request.max_affected - elsewhere)
        return allowed, elsewhere

    async def _open_others(
        self, spec: JobSpec, job_id: str, request_id: str, number: int, grace_ms: int
    ) -> tuple[int, Record]:
        """Open the parts beside the home part. Return the sessions that they add, and the job's record."""
        home, *others = spec.scope(self._partitions)
        opened = await asyncio.gather(
            *(
                scripts.open_part(
                    self._client,
                    keys,
                    spec.work_in(keys),
                    job_id,
                    number=number,
                    grace_ms=grace_ms,
                    retention_ms=self._periods.retention_ms,
                )
                for keys in others
            )
        )
        added = sum(part[0] for part in opened)
        fields = await scripts.mark_opened(
            self._client,
            home,
            job_id,
            request_id,
            added=added,
            kept_ms=max(part[1] for part in opened),
            silence_ms=self._periods.silence_ms,
        )
        if not fields:
            raise not_found(job_id)
        parts = [Part(keys, part[2]) for keys, part in zip(others, opened, strict=True)]
        return added, Record(job_id, [Part(home, fields), *parts])


def _check_opened(answer: OpenAnswer, request: JobRequest, elsewhere: int) -> None:
    """Raise the error that an answer to a request for a job means."""
    if answer.reply is OpenReply.CONFLICT:
        raise _taken(request.job_id)
    if answer.reply is OpenReply.UNDOING:
        raise JobStateError(f"job {answer.job_id!r} on the same target is being undone: try again later")
    if answer.reply is OpenReply.TOO_MANY:
        raise _too_many(elsewhere + answer.added, request.max_affected)


def _taken(job_id: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"job_id {job_id!r} is that of another job; an id (of a job or a Celery task) or an idempotency key"
        " serves one job"
    )


def _too_many(affected: int, allowed: int | None) -> TooManyAffectedError:
    return TooManyAffectedError(
        f"{affected} would go, more than max_affected={allowed}; nothing was changed. A preview shows which"
    )
