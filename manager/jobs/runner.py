"""Works on jobs, slice by slice.

Whoever holds a job's id can work on it, at any time, twice, or at once with others: each batch takes, counts
and writes the heartbeat in one script.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from agent_runtime.manager.errors import CorruptDataError, StoreError, StoreRefusedError
from agent_runtime.manager.jobs.failure import reason_of_failure
from agent_runtime.manager.jobs.job_store import JobStore
from agent_runtime.manager.jobs.pace import Pace, pace_of
from agent_runtime.manager.jobs.records import Part, Record, Records
from agent_runtime.manager.jobs.slices import Slice
from agent_runtime.manager.models.jobs import JobProgress, JobState
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.scripts.batches import BatchReply
from agent_runtime.manager.scripts.jobs import BeginReply
from agent_runtime.manager.settings import Settings

#: Longest time between two steps of a slice, and longest for one that is interrupted to tell its end,
#: seconds.
_STEP_SECONDS, _END_SECONDS = 1.0, 1.0

_AT_WORK = (JobState.RUNNING, JobState.UNDOING)


class Step(NamedTuple):
    """The progress that a slice has come to."""

    progress: JobProgress
    #: The slice to publish when this one is over, or None if there is none.
    next: Slice | None


@dataclass
class _Run:
    """A slice that is being worked on."""

    #: The job as it was last read.
    job: Record
    shard: int
    number: int
    token: str
    pace: Pace
    #: True once this shard has nothing more to do.
    is_drained: bool = False

    @property
    def is_over(self) -> bool:
        return self.is_drained or self.job.state not in _AT_WORK

    def step(self) -> Step:
        following = Slice(self.job.job_id, self.job.spec.kind, self.shard, self.number + 1)
        return Step(self.job.progress(), None if self.is_over else following)


class Runner:
    """Works on the jobs of one namespace."""

    def __init__(self, records: Records, store: JobStore, settings: Settings) -> None:
        self._records = records
        self._client = records.client
        self._store = store
        self._settings = settings
        self._silence_ms = round(settings.stalled_after_seconds * 1000)

    async def run(self, job_id: str) -> JobProgress:
        """Work on the job until it ends, or is not to go on, and return how far it is then.

        Raises:
            JobNotFoundError: unknown id, or the job's record has expired.
        """
        progress = await self.run_slice(job_id)
        while progress.state in _AT_WORK:
            progress = await self.run_slice(job_id)
        return progress

    async def run_slice(self, job_id: str) -> JobProgress:
        """Work on the job for one slice, and return how far it is then. Raises as `run`."""
        async for step in self.steps(job_id):
            progress = step.progress
        return progress

    async def steps(self, job_id: str, shard: int = 0, number: int | None = None) -> AsyncGenerator[Step]:
        """Work for the time of one slice. Yield a step at its beginning, about every second, and at its end.

        Yields nothing if another message for the same slice came first. A slice in which a batch is refused,
        or whose process dies, is an attempt that came to nothing. After `max_attempts` of them in a row the
        job has failed.

        Raises:
            InvalidArgumentError: there can be no such slice; nothing was changed.
            JobNotFoundError: unknown id, or the job's record has expired.
            StoreRefusedError, CorruptDataError: the server refused a batch, or something that the job works
                through cannot be read. Not raised if the job has failed by it.
        """
        Slice.check(job_id, shard, number)
        ends_at = time.monotonic() + self._settings.slice_seconds
        run = await self._begin(job_id, shard, number)
        if run is None:
            return
        try:
            yield run.step()
            while not run.is_over:
                # However short a slice is, it does something, or a job would never end.
                await self._work_or_fail(run, min(ends_at, time.monotonic() + _STEP_SECONDS))
                yield run.step()
                if time.monotonic() > ends_at:
                    break
        except (asyncio.CancelledError, GeneratorExit):  # interrupted, not dead
            async with asyncio.timeout(_END_SECONDS):
                await self._end(run)
            raise
        await self._end(run)

    async def _begin(self, job_id: str, shard: int, number: int | None) -> _Run | None:
        """Begin a slice. Return None if another message for it came first."""
        home, others = self._records.partitions.home, list[Part]()
        if len(self._records.partitions.all) > 1:  # the home has to be found
            job = await self._records.read(job_id)
            job_id, home, others = job.job_id, job.home.keys, job.parts[1:]
        token = secrets.token_hex(8)
        answer = await scripts.begin_slice(
            self._client,
            home,
            job_id,
            shard=shard,
            number=number,
            token=token,
            silence_ms=self._silence_ms,
            elsewhere=Record(job_id, [Part(home, {}), *others]).elsewhere,
        )
        if answer.reply is BeginReply.REPEATED:
            return None
        if answer.reply is BeginReply.GONE:
            job = await self._records.read(job_id)  # tells if there is no job, or one that cannot be read
        else:
            job = self._records.of_home(answer.job_id, Part(home, answer.fields), others)
        run = _Run(
            await self._store.with_all_parts(job), shard, answer.number, token, pace_of(self._settings)
        )
        if not run.is_over and answer.attempts >= self._settings.max_attempts:
            await self._fail(run, reason_of_failure(job, answer.attempts))
        return run

    async def _work_or_fail(self, run: _Run, until: float) -> None:
        """Work until that moment. Count a refusal of the server, and raise it unless the job has failed by
        it.
        """
        try:
            await self._work(run, until)
        except (StoreRefusedError, CorruptDataError) as error:
            with suppress(StoreError, CorruptDataError):
                await self._fail(run, str(error))
            if run.job.state is not JobState.FAILED:
                raise

    async def _work(self, run: _Run, until: float) -> None:
        """Work until that moment of the monotonic clock, and bring what is known of the job up to date."""
        for part in self._to_drain(run.job, run.shard):
            if await self._work_part(run, part, until) is not BatchReply.END:
                break
        else:
            if run.shard == 0:
                run.job = await self._store.complete(run.job)
                return
            run.is_drained = True
        run.job = await self._store.with_all_parts(await self._records.read(run.job.job_id))

    def _to_drain(self, job: Record, shard: int) -> list[Part]:
        """Return the parts to drain. Each shard begins at another one, and helps with the rest after it."""
        shards = len(job.next_slices(self._settings.job_parallelism))
        first = shard * len(job.parts) // shards
        in_turn = [*job.parts[first:], *job.parts[:first]]
        return [part for part in in_turn if "drained" not in part.fields]

    async def _work_part(self, run: _Run, part: Part, until: float) -> BatchReply:
        spec, job_id = run.job.spec, run.job.job_id
        batch = spec.undo_batch if run.job.state is JobState.UNDOING else spec.batch
        while True:
            async with run.pace.batch() as size:
                reply, goes_on = await asyncio.gather(
                    batch(self._client, part.keys, job_id, size), self._heartbeat(run.job, part)
                )
            if not goes_on:
                return BatchReply.HALTED
            if reply is not BatchReply.MORE or time.monotonic() > until:
                return reply

    async def _heartbeat(self, job: Record, part: Part) -> bool:
        """Return True if the job is to go on. A batch in its home sees that by itself."""
        if part is job.home:
            return True
        return await scripts.heartbeat_job(self._client, job.home.keys, job.job_id)

    async def _end(self, run: _Run) -> None:
        """End a slice in good order. Otherwise a slice that has done nothing would count as dead."""
        if run.job.state.ended:
            return
        with suppress(StoreError, CorruptDataError):
            await scripts.end_slice(
                self._client, run.job.home.keys, run.job.job_id, shard=run.shard, token=run.token
            )

    async def _fail(self, run: _Run, reason: str) -> None:
        """Count the slice as an attempt that came to nothing. The job fails if that is one too many."""
        others = await self._records.read_others(run.job)
        home, retention_ms = run.job.home, self._settings.job_retention_seconds * 1000
        fields = await scripts.end_slice(
            self._client,
            home.keys,
            run.job.job_id,
            shard=run.shard,
            token=run.token,
            elsewhere=run.job._replace(parts=[home, *others]).elsewhere,
            reason=reason,
            max_attempts=self._settings.max_attempts,
            retention_ms=retention_ms,
        )
        run.job = self._records.of_home(run.job.job_id, home._replace(fields=fields), others)
        if run.job.state is JobState.FAILED:
            await self._records.keep_others(run.job, retention_ms)
