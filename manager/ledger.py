"""Bulk jobs: their records in Redis, beside the data, and the slices of work on them.

A job over several partitions has a record of its part in each, all with the same id. Whoever holds the id
can work on the job, at any time, twice, or at once with others: each batch takes, counts and beats the heart
in one script.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from manager import job_scripts
from manager.errors import JobNotFoundError
from manager.keys import Keys, Partitions, new_job_id
from manager.models import JobKind, JobProgress, JobState, from_microseconds
from manager.pace import Pace
from manager.settings import Settings
from manager.store import Store

#: Jobs that one look for stalled ones lists per partition.
_STALLED_PER_LOOK = 1_000

_Batch = Callable[[int], Awaitable[bool]]


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
        job_id = job_id or new_job_id()
        await self._detach(self._partitions.of_user(user_id), JobKind.DELETE_USER, user_id, job_id)
        return job_id

    async def open_agent_deletion(self, agent_id: str, job_id: str | None = None) -> str:
        """Revokes the agent's sessions in every partition; otherwise as `open_user_deletion`."""
        job_id = job_id or new_job_id()
        # The home partition first: its record is what a worker completes the others from, should we die here.
        await self._detach(self._partitions.home, JobKind.DELETE_AGENT, agent_id, job_id)
        await asyncio.gather(
            *(
                self._detach(keys, JobKind.DELETE_AGENT, agent_id, job_id)
                for keys in self._partitions.all
                if keys is not self._partitions.home
            )
        )
        return job_id

    async def open_sweep(self, job_id: str | None = None, *, join: bool) -> str:
        """Opens a sweep of what expired. With `join`, returns the open one instead if there is one."""
        return await self._open(JobKind.SWEEP, {}, job_id or new_job_id(), join=join)

    async def open_pruning(self, policy: PrunePolicy, job_id: str | None = None, *, join: bool) -> str:
        """Opens a pruning. With `join`, returns the open one instead if there is one."""
        params = {name: value for name, value in policy._asdict().items() if value is not None}
        return await self._open(JobKind.PRUNE, params, job_id or new_job_id(), join=join)

    async def run_slice(self, job_id: str) -> JobProgress:
        """Works on the job until it is done or the slice's time is over.

        Raises:
            JobNotFoundError: no such job, or its record is gone.
        """
        deadline = time.monotonic() + self._slice_seconds
        pace = Pace(self._batch_target_seconds)
        for batch in await self._open_parts(job_id):
            goes_on = True
            while goes_on and time.monotonic() < deadline:
                with pace.batch() as size:
                    goes_on = await batch(size)
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
        finished = all(part["state"] == JobState.DONE for part in parts)
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

    async def _detach(self, keys: Keys, kind: JobKind, target: str, job_id: str) -> None:
        index, detached = _index_and_detached(keys, kind, target)
        await job_scripts.detach_index(
            self._store,
            keys,
            index=index,
            detached=detached,
            job_id=job_id,
            kind=kind,
            params=json.dumps({"target": target}),
            retention_ms=self._retention_ms,
        )

    async def _open(self, kind: JobKind, params: dict[str, Any], job_id: str, *, join: bool) -> str:
        first, *others = self._scope(params)
        opened = await self._open_part(first, kind, params, job_id, join=join)
        await asyncio.gather(
            *(self._open_part(keys, kind, params, opened, join=False) for keys in others if opened == job_id)
        )
        return opened

    async def _open_part(
        self, keys: Keys, kind: JobKind, params: dict[str, Any], job_id: str, *, join: bool
    ) -> str:
        return await job_scripts.open_job(
            self._store,
            keys,
            index=_pruned_index(keys, params),
            job_id=job_id,
            kind=kind,
            params=json.dumps(params),
            retention_ms=self._retention_ms,
            works_on=_works_on(kind, params),
            join=join,
        )

    def _scope(self, params: dict[str, Any]) -> list[Keys]:
        """The partitions that a sweep or a pruning goes over."""
        if "session_id" in params:
            return [self._partitions.of_session(params["session_id"])]
        return self._partitions.all

    async def _records(self, job_id: str) -> list[tuple[Keys, dict[str, str]]]:
        everywhere = self._partitions.all
        found = await asyncio.gather(
            *(job_scripts.read_job(self._store, keys, job_id) for keys in everywhere)
        )
        records = [(keys, record) for keys, record in zip(everywhere, found, strict=True) if record]
        if not records:
            raise JobNotFoundError(f"no job {job_id!r}: it never was, or its record was kept for its time")
        return records

    async def _open_parts(self, job_id: str) -> list[_Batch]:
        """What is left to do, as functions that do one batch and say whether the job goes on."""
        records = await self._records(job_id)
        kind, params = JobKind(records[0][1]["kind"]), json.loads(records[0][1]["params"])
        if len(records) < len(self._partitions.all):
            # Whoever opened the job died before it had written all records: do now what it meant to do.
            if kind is JobKind.DELETE_AGENT:
                await self.open_agent_deletion(params["target"], job_id)
            elif kind is not JobKind.DELETE_USER:
                await self._open(kind, params, job_id, join=False)
            records = await self._records(job_id)
        return [
            self._batches(keys, kind, params, job_id)
            for keys, record in records
            if record["state"] != JobState.DONE
        ]

    def _batches(self, keys: Keys, kind: JobKind, params: dict[str, Any], job_id: str) -> _Batch:
        common: dict[str, Any] = {"job_id": job_id, "retention_ms": self._retention_ms}
        if kind is JobKind.SWEEP:
            return lambda limit: job_scripts.sweep_batch(self._store, keys, limit=limit, **common)
        if kind is not JobKind.PRUNE:
            _, detached = _index_and_detached(keys, kind, params["target"])
            return lambda limit: job_scripts.reclaim_batch(
                self._store, keys, detached=detached, limit=limit, **common
            )
        common["keep_last"] = params.get("keep_last", "")
        age = params.get("older_than_seconds")
        common["max_age_us"] = "" if age is None else round(age * 1_000_000)
        if "session_id" in params:
            prune = partial(job_scripts.prune_session, session_id=params["session_id"])
        else:
            prune = partial(job_scripts.prune_batch, index=_pruned_index(keys, params))
        return lambda limit: prune(self._store, keys, limit=limit, **common)


def _index_and_detached(keys: Keys, kind: JobKind, target: str) -> tuple[bytes, bytes]:
    if kind is JobKind.DELETE_USER:
        return keys.user_index(target), keys.detached_users()
    return keys.agent_index(target), keys.detached_agents()


def _pruned_index(keys: Keys, params: dict[str, Any]) -> bytes:
    """The sorted set that a sweep or a pruning works through, and that its total is counted from."""
    if "agent_id" in params:
        return keys.agent_index(params["agent_id"])
    return keys.expiry_index


def _works_on(kind: JobKind, params: dict[str, Any]) -> str:
    if kind is JobKind.SWEEP:
        return "due"
    return "one" if "session_id" in params else "live"


def _moment(milliseconds: str) -> Any:
    return from_microseconds(int(milliseconds) * 1000)
