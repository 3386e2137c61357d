"""Working on jobs, slice by slice.

Whoever holds a job's id can work on it, at any time, twice, or at once with others: each batch takes, counts
and beats the heart in one script.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import NamedTuple

from agent_runtime.manager.errors import (
    CorruptDataError,
    JobNotFoundError,
    StoreError,
    StoreRefusedError,
)
from agent_runtime.manager.jobs.deaths import reason_of_failure
from agent_runtime.manager.jobs.job_store import JobStore
from agent_runtime.manager.jobs.pace import Pace, pace_of
from agent_runtime.manager.jobs.records import Part, Record, Records
from agent_runtime.manager.jobs.slices import Slice
from agent_runtime.manager.models.jobs import JobProgress, JobState
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.scripts.batches import BatchReply
from agent_runtime.manager.settings import Settings

#: How often a slice tells how far it is, seconds.
_SHOW_SECONDS = 1.0

_AT_WORK = (JobState.RUNNING, JobState.UNDOING)


class Step(NamedTuple):
    """What a slice has come to."""

    progress: JobProgress
    #: The slice to ring for when this one is over; None where there is none.
    next: Slice | None


class Runner:
    """Works on the jobs of one namespace."""

    def __init__(self, records: Records, ledger: JobStore, settings: Settings) -> None:
        self._records = records
        self._client = records.client
        self._ledger = ledger
        self._settings = settings
        self._retention_ms = settings.job_retention_seconds * 1000

    async def run(self, job_id: str) -> JobProgress:
        """Works on the job until it ends, or is not to go on.

        Raises:
            JobNotFoundError: no such job, or its record is gone.
        """
        progress = await self.run_slice(job_id)
        while progress.state in _AT_WORK:
            progress = await self.run_slice(job_id)
        return progress

    async def run_slice(self, job_id: str) -> JobProgress:
        """Works on the job for one slice; how far it is then. Raises as `run`."""
        job = await self._records.read(job_id)
        async for step in self.steps(Slice(job.job_id, job.spec.kind)):
            progress = step.progress
        return progress

    async def steps(self, slice_: Slice) -> AsyncGenerator[Step]:
        """Works for the time of one slice. Yields at its beginning, about every second, and at its end.

        Yields nothing where another message for the same slice came first. A job of which
        `max_batch_failures` processes have died in a row, with nothing done between them, has failed.

        Raises:
            InvalidArgumentError: there can be no such slice; nothing was changed.
            JobNotFoundError: no such job, or its record is gone.
            StoreRefusedError, CorruptDataError: the server refused a batch, or an index that the job works
                through cannot be read. After `max_batch_failures` in a row with nothing
                done between them the job has failed, and this is not raised.
        """
        Slice.check(slice_.shard, slice_.number)
        ends_at = time.monotonic() + self._settings.slice_seconds
        job = await self._ledger.read_opened(slice_.job_id)
        began, number = await self._begin(job, slice_)
        if began == "repeated":
            return
        pace, following = pace_of(self._settings), slice_._replace(number=number + 1)
        try:
            progress = await self._ledger.progress(slice_.job_id)
            over = progress.state not in _AT_WORK
            yield Step(progress, None if over else following)
            # However short a slice is, it does something, or a job would never end.
            while not over:
                over = await self._work(slice_, pace, min(ends_at, time.monotonic() + _SHOW_SECONDS))
                progress = await self._ledger.progress(slice_.job_id)
                over = over or progress.state not in _AT_WORK
                yield Step(progress, None if over else following)
                over = over or time.monotonic() > ends_at
        except (StoreRefusedError, CorruptDataError):  # they are counted by themselves
            await self._tell_end(job, slice_)
            raise
        if not progress.state.ended:
            await self._tell_end(job, slice_)

    async def _begin(self, job: Record, slice_: Slice) -> tuple[str, int]:
        most_deaths = self._settings.max_batch_failures
        began, number = await scripts.begin_slice(
            self._client,
            job.home.keys,
            job.job_id,
            shard=slice_.shard,
            number=slice_.number,
            done=job.total_of("done"),
            token=secrets.token_hex(8),
            position=job.position,
            silence_ms=round(self._settings.stalled_after_seconds * 1000),
            most_deaths=most_deaths,
            reason=reason_of_failure(job, most_deaths),
            retention_ms=self._retention_ms,
        )
        if began == JobState.FAILED and job.state is not JobState.FAILED:
            await self._records.keep_others(job, self._retention_ms)
        return began, number

    async def _tell_end(self, job: Record, slice_: Slice) -> None:
        """Without it, the process of a slice that has done nothing would count as dead."""
        with suppress(StoreError, CorruptDataError):
            await scripts.end_slice(self._client, job.home.keys, job.job_id, slice_.shard)

    async def _work(self, slice_: Slice, pace: Pace, until: float) -> bool:
        """Works until that moment of the monotonic clock; whether this shard has nothing more to do."""
        job = await self._ledger.read_opened(slice_.job_id)
        for part in self._to_drain(job, slice_.shard):
            reply = await self._work_part(job, part, pace, until)
            if reply is BatchReply.GONE:
                raise JobNotFoundError(f"job {slice_.job_id!r} has no record any more")
            if reply is not BatchReply.END:
                return reply is BatchReply.HALTED
        if slice_.shard == 0:
            await self._ledger.complete(job)
        return slice_.shard != 0

    def _to_drain(self, job: Record, shard: int) -> list[Part]:
        """Parts to work off. Each shard begins at another one, and helps with the rest when that is done."""
        if job.state is JobState.UNDOING and not job.spec.kind.deletes:
            return []
        shards = len(job.next_slices(self._settings.job_parallelism))
        first = shard * len(job.parts) // shards
        in_turn = [*job.parts[first:], *job.parts[:first]]
        return [part for part in in_turn if "drained" not in part.fields]

    async def _work_part(self, job: Record, part: Part, pace: Pace, until: float) -> BatchReply:
        undo = job.state is JobState.UNDOING
        batch = job.spec.batch(self._client, part.keys, job.job_id, undo=undo)
        while True:
            try:
                async with pace.batch() as size:
                    reply, goes_on = await asyncio.gather(batch(size), self._beat(job, part))
            except (StoreRefusedError, CorruptDataError) as error:
                if await self._count_failure(job.job_id, str(error)):
                    return BatchReply.HALTED
                raise
            if not goes_on:
                return BatchReply.HALTED
            if reply is not BatchReply.MORE or time.monotonic() > until:
                return reply

    async def _beat(self, job: Record, part: Part) -> bool:
        """Whether the job is to go on, which a batch in its home sees for itself. One round trip with it."""
        if part is job.home:
            return True
        return await scripts.heartbeat_job(self._client, job.home.keys, job.job_id)

    async def _count_failure(self, job_id: str, reason: str) -> bool:
        """Whether that was one too many."""
        job = await self._records.read(job_id)
        failed = await scripts.fail_batch(
            self._client,
            job.home.keys,
            job.job_id,
            position=job.position,
            limit=self._settings.max_batch_failures,
            reason=reason,
            retention_ms=self._retention_ms,
        )
        if failed:
            await self._records.keep_others(job, self._retention_ms)
        return failed
