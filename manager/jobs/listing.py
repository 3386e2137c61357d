"""Lists jobs of all partitions, newest first, page by page."""

import asyncio
import heapq
from collections.abc import AsyncIterator
from typing import NamedTuple

from agent_runtime.manager.errors import CorruptDataError, InvalidArgumentError, JobNotFoundError
from agent_runtime.manager.jobs.records import Records
from agent_runtime.manager.jobs.request import MAX_TEXT_BYTES
from agent_runtime.manager.models.jobs import JobKind, JobPage, JobProgress, JobState
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.skip_corrupt import SkipCorrupt
from agent_runtime.manager.validation import check_count, check_text

#: Jobs read at a time, and most jobs on one page.
_READ_AT_ONCE, _LARGEST_PAGE = 100, 1_000


class JobFilter(NamedTuple):
    """Selects jobs for a listing. A job matches if it matches every field that is set.

    Example:
        >>> page = await manager.jobs.list(JobFilter(state=JobState.FAILED))
    """

    state: JobState | None = None
    kind: JobKind | None = None
    target: str | None = None

    def matches(self, job: JobProgress) -> bool:
        """Return True if the listing shows this job.

        Example:
            >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
            >>> JobFilter(target="user_123").matches(await manager.jobs.progress(opened.job_id))
            True
        """
        return all(
            wanted is None or wanted == found
            for wanted, found in zip(self, (job.state, job.kind, job.target), strict=True)
        )


async def list_jobs(records: Records, chosen: JobFilter, limit: int, cursor: str | None) -> JobPage:
    """Return one page of the jobs that match the filter."""
    check_count("limit", limit, 1)
    if limit > _LARGEST_PAGE:
        raise InvalidArgumentError(f"limit must be at most {_LARGEST_PAGE}, not {limit}; use the cursor")
    jobs: list[JobProgress] = []
    async for place, job in _all_jobs(records, _place(cursor)):
        if chosen.matches(job):
            jobs.append(job)
            if len(jobs) == limit:
                return JobPage(jobs=jobs, cursor=":".join(place))
    return JobPage(jobs=jobs, cursor=None)


async def _all_jobs(
    records: Records, place: tuple[str, str]
) -> AsyncIterator[tuple[tuple[str, str], JobProgress]]:
    """Yield the jobs behind a place in the list, each with its own place."""
    listing = SkipCorrupt()
    while True:
        found = await asyncio.gather(
            *(
                scripts.list_jobs(records.client, keys, place, _READ_AT_ONCE)
                for keys in records.partitions.all
            )
        )
        newest = heapq.nlargest(_READ_AT_ONCE, (entry for part in found for entry in part))
        if not newest:
            return
        read = await asyncio.gather(*(records.read(job_id) for _, job_id in newest), return_exceptions=True)
        for (moment_ms, job_id), job in zip(newest, read, strict=True):
            place = (str(moment_ms), job_id)
            if isinstance(job, JobNotFoundError):  # its record has expired since
                continue
            if isinstance(job, CorruptDataError):
                listing.leave_out(job)
                continue
            if isinstance(job, BaseException):
                raise job
            yield place, job.progress()


def _place(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return scripts.NEWEST
    moment_ms, separator, job_id = cursor.partition(":")
    if not separator or not job_id or not (moment_ms.isascii() and moment_ms.isdigit()):
        raise InvalidArgumentError(f"cursor must be of an earlier page, not {cursor!r}")
    return moment_ms, check_text("cursor", job_id, MAX_TEXT_BYTES)
