"""What a job does: how its part in a partition is opened, and one batch of it."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple, Self

from manager import job_scripts
from manager.keys import Keys, Partitions
from manager.models import JobKind
from manager.store import Store

#: Does one batch of at most so many sessions; whether there is more to do.
Batch = Callable[[int], Awaitable[bool]]


class Work(NamedTuple):
    """A kind of job and its parameters, as they are kept in the job's record."""

    kind: JobKind
    params: dict[str, Any]

    @classmethod
    def from_record(cls, record: dict[str, str]) -> Self:
        return cls(JobKind(record["kind"]), json.loads(record["params"]))

    @classmethod
    def user_deletion(cls, user_id: str) -> Self:
        return cls(JobKind.DELETE_USER, {"user_id": user_id})

    @classmethod
    def agent_deletion(cls, agent_id: str) -> Self:
        return cls(JobKind.DELETE_AGENT, {"agent_id": agent_id})

    @classmethod
    def sweep(cls) -> Self:
        return cls(JobKind.SWEEP, {})

    def scope(self, partitions: Partitions) -> list[Keys]:
        """The partitions in which the job has a part, its home first."""
        if "session_id" in self.params:
            return [partitions.of_session(self.params["session_id"])]
        if self.kind is JobKind.DELETE_USER:
            return [partitions.of_user(self.params["user_id"])]
        return partitions.all

    async def open_part(
        self, store: Store, keys: Keys, job_id: str, *, join: bool, opened: bool, retention_ms: int
    ) -> str:
        """Opens the part in one partition; id of the job, or of the open one that it joins."""
        record: dict[str, Any] = {
            "job_id": job_id,
            "kind": self.kind,
            "params": json.dumps(self.params),
            "opened": opened,
            "retention_ms": retention_ms,
        }
        index = self._index(keys)
        if self.deletes:
            await job_scripts.detach_index(store, keys, index=index, detached=self._detached(keys), **record)
            return job_id
        return await job_scripts.open_job(
            store, keys, index=index, works_on=self._works_on, join=join, **record
        )

    def batch(self, store: Store, keys: Keys, job_id: str, retention_ms: int) -> Batch:
        """What one batch of the part in one partition is."""
        common: dict[str, Any] = {"job_id": job_id, "retention_ms": retention_ms}
        if self.deletes:
            do = partial(job_scripts.reclaim_batch, detached=self._detached(keys))
        elif self.kind is JobKind.SWEEP:
            do = partial(job_scripts.sweep_batch)
        else:
            age_seconds = self.params.get("older_than_seconds")
            common["keep_last"] = self.params.get("keep_last", "")
            common["max_age_us"] = "" if age_seconds is None else round(age_seconds * 1_000_000)
            if "session_id" in self.params:
                do = partial(job_scripts.prune_session, session_id=self.params["session_id"])
            else:
                do = partial(job_scripts.prune_batch, index=self._index(keys))
        return lambda limit: do(store, keys, limit=limit, **common)

    @property
    def deletes(self) -> bool:
        """Whether the job detaches an index and reclaims what it listed."""
        return self.kind in (JobKind.DELETE_USER, JobKind.DELETE_AGENT)

    @property
    def _works_on(self) -> str:
        if self.kind is JobKind.SWEEP:
            return "due"
        return "one" if "session_id" in self.params else "live"

    def _index(self, keys: Keys) -> bytes:
        """The sorted set that is detached, swept or worked through."""
        if "user_id" in self.params:
            return keys.user_index(self.params["user_id"])
        if "agent_id" in self.params:
            return keys.agent_index(self.params["agent_id"])
        return keys.expiry_index

    def _detached(self, keys: Keys) -> bytes:
        return keys.detached_users() if self.kind is JobKind.DELETE_USER else keys.detached_agents()
