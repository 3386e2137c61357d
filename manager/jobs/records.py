"""The records of jobs in Redis, read."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import NamedTuple

from agent_runtime.manager.errors import CorruptDataError, JobNotFoundError
from agent_runtime.manager.jobs.request import MAX_TEXT_BYTES
from agent_runtime.manager.jobs.slices import Slice
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.models.jobs import JobProgress, JobState, Receipt
from agent_runtime.manager.models.sessions import from_microseconds
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.scripts.jobs import Elsewhere, Fields
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_text

#: Fields of which one changes with anything that is done. `position_of` in lib/jobs.lua has the same.
_POSITION = ("done", "removed", "restored", "lost", "drained")


class Part(NamedTuple):
    """The record of a job in one partition."""

    keys: Keys
    fields: Fields

    @property
    def is_home(self) -> bool:
        return "state" in self.fields or "requested" in self.fields


class Record(NamedTuple):
    """A job as it was read, part by part. The home part, which has the state, comes first.

    Example:
        >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
        >>> (await manager.jobs.read(opened.job_id)).total_of("total")
        3
    """

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
        """Return the sum of a count over all parts."""
        return sum(int(part.fields.get(field, 0)) for part in self.parts)

    @property
    def has_revoked_sets(self) -> bool:
        """Return True if the target had revoked sets when the job was opened, the job's own or others'."""
        return self.total_of("last_revoked_set") > 0

    @property
    def elsewhere(self) -> Elsewhere:
        """Progress of the job in the parts beside its home."""
        others = self._replace(parts=self.parts[1:])
        return Elsewhere(others.total_of("done"), ":".join(str(others.total_of(each)) for each in _POSITION))

    def moment(self, field: str) -> datetime | None:
        """Return a moment in the home part, or None if it is not there."""
        return _moment(self.home.fields[field]) if field in self.home.fields else None

    @property
    def requested_at(self) -> datetime:
        return _moment(self.home.fields["requested"])

    @property
    def heartbeat_at(self) -> datetime:
        return max(_moment(part.fields["heartbeat"]) for part in self.parts)

    def next_slices(self, parallelism: int) -> list[Slice]:
        """Return the slices to publish: one, and more for other workers if the job has several parts."""
        shards = max(1, min(parallelism, len(self.parts)))
        begun = (int(self.home.fields.get(f"slices:{shard}", 0)) for shard in range(shards))
        kind = self.spec.kind
        return [Slice(self.job_id, kind, shard, number + 1) for shard, number in enumerate(begun)]

    def progress(self) -> JobProgress:
        """Return what callers get to see of the job."""
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
            target=spec.target,
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
        """Return sessions a second since the job was started or resumed."""
        since = self.moment("since")
        if since is None or self.heartbeat_at <= since:
            return None
        newly_done = done - int(self.home.fields["done_since"])
        return newly_done / (self.heartbeat_at - since).total_seconds()

    def check(self) -> None:
        """Read everything in the record once, so that whoever gets it need not expect what cannot be read.

        Raises:
            CorruptDataError: something in the record cannot be read.
        """
        home = self.home
        try:
            self.progress()
            self.next_slices(len(self.parts))
            self.elsewhere.position.strip()
            int(home.fields["joins"])
            spec = self.spec
            spec.check(sys.maxsize)
            if spec.deletes:
                int(home.fields["cutoff"])
            for part in self.parts:
                spec.selection_in(part.keys)
                from_microseconds(int(part.fields.get("cutoff", 0)))
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            place = home.keys.job(self.job_id)
            raise CorruptDataError(f"job at {place!r} cannot be read: {error!r}") from error


def _moment(milliseconds: str) -> datetime:
    return from_microseconds(int(milliseconds) * 1000)


@contextmanager
def _readable(key: bytes) -> Iterator[None]:
    """Raise CorruptDataError if what lies at `key` cannot be read within the block."""
    try:
        yield
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise CorruptDataError(f"the record of a job at {key!r} cannot be read: {error!r}") from error


class Records:
    """Reads jobs by id."""

    def __init__(self, client: ScriptClient, partitions: Partitions) -> None:
        self.client = client
        self.partitions = partitions

    async def read(self, job_id: str) -> Record:
        """Return the job, or the one that was joined under this id.

        Raises:
            InvalidArgumentError: the id can be that of no job.
            JobNotFoundError: unknown id, or the job's record has expired.
            CorruptDataError: its record cannot be read.
        """
        found = await self._parts(check_text("job_id", job_id, MAX_TEXT_BYTES))
        home = next((part for part in found if part[1].is_home), None)
        if home is None:
            raise not_found(job_id)
        if home[0] != job_id:
            found = await self._parts(home[0])
        others = [part for _, part in found if part.keys is not home[1].keys]
        return self.of_home(home[0], home[1], others)

    async def read_others(self, job: Record) -> list[Part]:
        """Return the parts beside the home part as they are now."""
        found = await asyncio.gather(
            *(scripts.read_job(self.client, part.keys, job.job_id) for part in job.parts[1:])
        )
        pairs = zip(job.parts[1:], found, strict=True)
        return [part._replace(fields=fields) for part, (_, fields) in pairs if fields]

    def of_home(self, job_id: str, home: Part, others: list[Part]) -> Record:
        """Return the record of a job whose home part a script answered with. Raises as `read`."""
        if not home.fields:
            raise not_found(job_id)
        record = Record(job_id, [home, *others])
        record.check()
        return record

    async def keep_others(self, job: Record, retention_ms: int, *, exactly: bool = False) -> None:
        """Keep the parts beside the home part for so long from now, or at least: the counts of a job are the
        sums of its parts, and a job that goes on does so in all of them.
        """
        await asyncio.gather(
            *(
                scripts.keep_part(self.client, part.keys, job.job_id, retention_ms, exactly=exactly)
                for part in job.parts[1:]
            )
        )

    async def known(self, job_id: str) -> bool:
        """Return True if there is a job, or a request that joined one, with this id."""
        return await self.spec_of(job_id) is not None

    async def spec_of(self, job_id: str) -> JobSpec | None:
        """Return the spec of the job with this id, or of the one that a request with it joined."""
        parts = await self._parts(job_id)
        if not parts:
            return None
        found_id, part = parts[0]
        with _readable(part.keys.job(found_id)):
            return JobSpec.from_record(part.fields)

    async def _parts(self, job_id: str) -> list[tuple[str, Part]]:
        everywhere = self.partitions.all
        found = await asyncio.gather(*(scripts.read_job(self.client, keys, job_id) for keys in everywhere))
        return [
            (found_id, Part(keys, fields))
            for keys, (found_id, fields) in zip(everywhere, found, strict=True)
            if fields
        ]


def not_found(job_id: str) -> JobNotFoundError:
    return JobNotFoundError(f"job {job_id!r} not found: unknown id, or its record has expired")
