"""Bulk jobs: their records in Redis, beside the data, and the slices of work on them.

A job over several partitions has a record of its part in each, all with the same id. Whoever holds the id
can work on the job, at any time, twice, or at once with others: each batch takes, counts and beats the heart
in one script.
"""

import asyncio
import time
from datetime import datetime
from typing import NamedTuple

from manager import job_scripts
from manager.errors import JobNotFoundError
from manager.keys import Keys, Partitions, new_job_id
from manager.models import JobKind, JobProgress, JobState, from_microseconds
from manager.pace import Pace
from manager.settings import Settings
from manager.store import Store
from manager.work import Batch, Work

#: Jobs that one look for stalled ones lists per partition.
_STALLED_PER_LOOK = 1_000


class PrunePolicy(NamedTuple):
    """Which checkpoints a pruning removes, and where. The newest of a session is always kept.

    With both limits, a checkpoint goes when it is over either of them.
    """

    session_id: str | None = None
    agent_id: str | None = None
    keep_last: int | None = None
    older_than_seconds: float | None = None


class Ledger:
    """The records of bulk jobs in one namespace."""

    def __init__(self, store: Store, partitions: Partitions, settings: Settings) -> None:
        self._store = store
        self._partitions = partitions
        self._slice_seconds = settings.slice_seconds
        self._batch_target_seconds = settings.batch_target_ms / 1000
        self._retention_ms = settings.job_retention_seconds * 1000
        self._stalled_after_ms = round(settings.stalled_after_seconds * 1000)

    async def open_user_deletion(self, user_id: str, job_id: str | None = None) -> str:
        """Revokes the user's sessions and returns the id of the job that will reclaim them.

        Repeated with the same `job_id`, it changes nothing.
        """
        return await self._open(Work.user_deletion(user_id), job_id)

    async def open_agent_deletion(self, agent_id: str, job_id: str | None = None) -> str:
        """Revokes the agent's sessions in every partition; otherwise as `open_user_deletion`."""
        return await self._open(Work.agent_deletion(agent_id), job_id)

    async def open_sweep(self, job_id: str | None = None, *, join: bool) -> str:
        """Opens a sweep of what expired. With `join`, returns the open one instead if there is one."""
        return await self._open(Work.sweep(), job_id, join=join)

    async def open_pruning(self, policy: PrunePolicy, job_id: str | None = None, *, join: bool) -> str:
        """Opens a pruning. With `join`, returns the open one instead if there is one."""
        params = {name: value for name, value in policy._asdict().items() if value is not None}
        return await self._open(Work(JobKind.PRUNE, params), job_id, join=join)

    async def run_slice(self, job_id: str) -> JobProgress:
        """Works on the job until it is done or the slice's time is over.

        Raises:
            JobNotFoundError: no such job, or its record is gone.
        """
        deadline = time.monotonic() + self._slice_seconds
        pace = Pace(self._batch_target_seconds)
        for batch in await self._batches(job_id):
            goes_on = True
            while goes_on:
                with pace.batch() as size:
                    goes_on = await batch(size)
                if time.monotonic() > deadline:
                    return await self.progress(job_id)
        return await self.progress(job_id)

    async def run(self, job_id: str) -> JobProgress:
        """Works on the job until it is done."""
        progress = await self.run_slice(job_id)
        while not progress.finished:
            progress = await self.run_slice(job_id)
        return progress

    async def progress(self, job_id: str) -> JobProgress:
        """How far the job is.

        Raises:
            JobNotFoundError: no such job, or its record is gone.
        """
        parts = [record for _, record in await self._records(job_id)]
        finished = all(part["state"] == JobState.DONE and part["opened"] == "1" for part in parts)
        begun = any(part["state"] != JobState.QUEUED for part in parts)
        return JobProgress(
            job_id=job_id,
            kind=JobKind(parts[0]["kind"]),
            state=JobState.DONE if finished else JobState.RUNNING if begun else JobState.QUEUED,
            total=sum(int(part["total"]) for part in parts),
            done=sum(int(part["done"]) for part in parts),
            removed=sum(int(part["removed"]) for part in parts),
            requested_at=_moment(min(part["requested"] for part in parts)),
            heartbeat_at=_moment(max(part["heartbeat"] for part in parts)),
            finished_at=_moment(max(part["finished"] for part in parts)) if finished else None,
        )

    async def take_stalled(self) -> list[str]:
        """Ids of open jobs that nobody has worked on for `stalled_after_seconds`, for the caller to ring for.

        A job taken is not taken again for as long.
        """
        found = await asyncio.gather(
            *(
                job_scripts.take_stalled_jobs(self._store, keys, self._stalled_after_ms, _STALLED_PER_LOOK)
                for keys in self._partitions.all
            )
        )
        return list(dict.fromkeys(job_id for part in found for job_id in part))

    async def _open(self, work: Work, job_id: str | None, *, join: bool = False) -> str:
        """Writes the parts of a job. The home part comes first: should we die before all others are there,
        a worker that finds it not marked as opened completes them.
        """
        job_id = job_id or new_job_id()
        home, *others = work.scope(self._partitions)
        open_job = await self._open_part(work, home, job_id, join=join, opened=not others)
        if open_job == job_id and others:
            parts = (self._open_part(work, keys, job_id, join=False, opened=True) for keys in others)
            await asyncio.gather(*parts)
            await job_scripts.mark_opened(self._store, home, job_id, deletes=work.deletes)
        return open_job

    async def _open_part(self, work: Work, keys: Keys, job_id: str, *, join: bool, opened: bool) -> str:
        return await work.open_part(
            self._store, keys, job_id, join=join, opened=opened, retention_ms=self._retention_ms
        )

    async def _batches(self, job_id: str) -> list[Batch]:
        """What is left to do, by partition. The home part comes last: while it is open, the job is."""
        records = await self._records(job_id)
        first = records[0][1]
        work = Work.from_record(first)
        if first["opened"] == "0":
            await self._open(work, job_id)
            records = await self._records(job_id)
        return [
            work.batch(self._store, keys, job_id, self._retention_ms)
            for keys, record in reversed(records)
            if record["state"] != JobState.DONE
        ]

    async def _records(self, job_id: str) -> list[tuple[Keys, dict[str, str]]]:
        """The records of the job's parts, the home part's first."""
        everywhere = self._partitions.all
        found = await asyncio.gather(
            *(job_scripts.read_job(self._store, keys, job_id) for keys in everywhere)
        )
        records = [(keys, record) for keys, record in zip(everywhere, found, strict=True) if record]
        if not records:
            raise JobNotFoundError(f"no job {job_id!r}: it never was, or its record was kept for its time")
        return records


def _moment(milliseconds: str) -> datetime:
    return from_microseconds(int(milliseconds) * 1000)
