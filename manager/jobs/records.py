"""The records of jobs in Redis, read."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from agent_runtime.manager.errors import CorruptDataError, JobNotFoundError
from agent_runtime.manager.jobs.request import MAX_TEXT_BYTES
from agent_runtime.manager.jobs.slices import Slice
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.models.jobs import JobKind, JobProgress, JobState, Receipt
from agent_runtime.manager.models.sessions import from_microseconds
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_text


class Part(NamedTuple):
    """The record of a job in one partition."""

    keys: Keys
    fields: dict[str, str]

    @property
    def is_home(self) -> bool:
        return "state" in self.fields or "requested" in self.fields


class Record(NamedTuple):
    """A job as it was when it was read, part by part. The home part, which has the state, is the first."""

    job_id: str
    parts: list[Part]

    @property
    def home(self) -> Part:
        return self.parts[0]

    @property
    def spec(self) -> JobSpec:
        return JobSpec.from_record(self.home.fields)

    @property
    def state(self) -> JobState:
        return JobState(self.home.fields["state"])

    def total_of(self, field: str) -> int:
        """The sum of a count over all parts."""
        return sum(int(part.fields.get(field, 0)) for part in self.parts)

    @property
    def position(self) -> str:
        """How far it is: another text once anything is done."""
        counts = map(self.total_of, ("done", "removed", "restored", "lost", "drained"))
        return ":".join(map(str, counts))

    def moment(self, field: str) -> datetime | None:
        """A moment in the home part, if it is there."""
        return _moment(self.home.fields[field]) if field in self.home.fields else None

    @property
    def requested_at(self) -> datetime:
        return _moment(self.home.fields["requested"])

    @property
    def heartbeat_at(self) -> datetime:
        return max(_moment(part.fields["heartbeat"]) for part in self.parts)

    def next_slices(self, parallelism: int) -> list[Slice]:
        """What to ring for: one slice, and where there are several parts more for other workers."""
        shards = max(1, min(parallelism, len(self.parts)))
        begun = (int(self.home.fields.get(f"slices:{shard}", 0)) for shard in range(shards))
        kind = self.spec.kind
        return [Slice(self.job_id, kind, shard, number + 1) for shard, number in enumerate(begun)]

    def progress(self) -> JobProgress:
        """What callers get to see of it."""
        home, spec = self.home.fields, self.spec
        done, total = self.total_of("done"), self.total_of("total")
        rate = self._rate(done)
        ends = None
        if rate and self.state is JobState.RUNNING:
            ends = self.heartbeat_at + timedelta(seconds=max(0, total - done) / rate)
        receipt = home.get("receipt")
        return JobProgress(
            job_id=self.job_id,
            kind=spec.kind,
            target=spec.about,
            state=self.state,
            total=total,
            done=done,
            removed=self.total_of("removed"),
            restored=self.total_of("restored"),
            damaged=self.total_of("damaged"),
            requested_by=home.get("requested_by"),
            reason=home.get("reason"),
            requested_at=self.requested_at,
            due_at=self.moment("due") if home["due"] != home["requested"] else None,
            started_at=self.moment("started"),
            heartbeat_at=self.heartbeat_at,
            finished_at=self.moment("finished"),
            rate_per_second=rate,
            estimated_end_at=ends,
            error=home.get("error"),
            receipt=None if receipt is None else Receipt.model_validate_json(receipt),
        )

    def _rate(self, done: int) -> float | None:
        """Sessions a second since the job was started or resumed."""
        since = self.moment("since")
        if since is None or self.heartbeat_at <= since:
            return None
        newly_done = done - int(self.home.fields["done_since"])
        return newly_done / (self.heartbeat_at - since).total_seconds()


def _check(record: Record) -> None:
    """Reads everything in the record once: who gets it need not expect that it cannot be read."""
    home = record.home
    try:
        record.progress()
        record.next_slices(len(record.parts))
        record.position.strip()
        int(home.fields["joins"])
        if record.spec.kind.deletes:
            int(home.fields["cutoff"])
        record.spec.params.keys()
        for part in record.parts:
            record.spec.target(part.keys)
            from_microseconds(int(part.fields.get("cutoff", 0)))
        if record.spec.kind is JobKind.PRUNE:
            assert record.spec.policy.max_age_us is not None  # noqa: S101
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        place = home.keys.job(record.job_id)
        raise CorruptDataError(f"job at {place!r} cannot be read: {error!r}") from error


def _moment(milliseconds: str) -> datetime:
    return from_microseconds(int(milliseconds) * 1000)


@contextmanager
def _readable(key: bytes) -> Iterator[None]:
    """Around what is made of a job's record."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise CorruptDataError(f"the record of a job at {key!r} cannot be read: {error!r}") from error


async def _read_part(client: ScriptClient, keys: Keys, job_id: str) -> tuple[str, dict[str, str]] | None:
    with _readable(keys.job(job_id)):
        return await scripts.read_job(client, keys, job_id)


class Records:
    """Reads jobs by id."""

    def __init__(self, client: ScriptClient, partitions: Partitions) -> None:
        self.client = client
        self.partitions = partitions

    async def read(self, job_id: str) -> Record:
        """The job, or the one that was joined under this id.

        Raises:
            InvalidArgumentError: the id can be that of no job.
            JobNotFoundError: no such job, or its record is gone.
            CorruptDataError: its record cannot be read.
        """
        found = await self._parts(check_text("job_id", job_id, MAX_TEXT_BYTES))
        home = next((part for part in found if part[1].is_home), None)
        if home is None:
            raise JobNotFoundError(f"no job {job_id!r}: it never was, or its record was kept for its time")
        if home[0] != job_id:
            found = await self._parts(home[0])
        others = [part for _, part in found if part.keys is not home[1].keys]
        record = Record(home[0], [home[1], *others])
        _check(record)
        return record

    async def keep_others(self, job: Record, retention_ms: int, *, exactly: bool = False) -> None:
        """Keeps the parts beside the home part for so long from now, or at least: the counts of a job are the
        sums of its parts, and one that goes on does so in all of them.
        """
        await asyncio.gather(
            *(
                scripts.keep_part(self.client, part.keys, job.job_id, retention_ms, exactly=exactly)
                for part in job.parts[1:]
            )
        )

    async def known(self, job_id: str) -> bool:
        """Whether there is a job, or a request that joined one, with this id."""
        return await self.work_of(job_id) is not None

    async def work_of(self, job_id: str) -> JobSpec | None:
        """The work of the job with this id, or of the one that a request with it joined."""
        parts = await self._parts(job_id)
        if not parts:
            return None
        found_id, part = parts[0]
        with _readable(part.keys.job(found_id)):
            return JobSpec.from_record(part.fields)

    async def _parts(self, job_id: str) -> list[tuple[str, Part]]:
        everywhere = self.partitions.all
        found = await asyncio.gather(*(_read_part(self.client, keys, job_id) for keys in everywhere))
        return [
            (record[0], Part(keys, record[1]))
            for keys, record in zip(everywhere, found, strict=True)
            if record is not None
        ]
