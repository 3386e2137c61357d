"""The kinds of jobs. Everything else about jobs is the same for all of them, and looks these classes up.

To add a kind:

1. Name it in `JobKind`.
2. Write its batch: a script in `scripts/lua/jobs/` and its function in `scripts/batches.py`. The script
   begins with `closed_reply`, counts what it did with `record_batch`, and answers with `batch_reply`.
3. Write a class below: words, parameters, selection, batch, preview.

`SessionJobs.enqueue(YourKind(...))` then opens, runs, previews, lists, watches, pauses and fails it like any
other. A method of `SessionJobs`, a task in `tasks/entry_tasks.py` and a command are conveniences of a few
lines each.
"""

import json
from dataclasses import dataclass
from typing import Any

from agent_runtime.manager.errors import InvalidArgumentError
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.models.jobs import JobKind
from agent_runtime.manager.scripts import batches, proofs
from agent_runtime.manager.scripts.batches import BatchReply, Selection
from agent_runtime.manager.scripts.proofs import Measured
from agent_runtime.manager.scripts.replies import Cursor
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_age_seconds, check_count, check_id


class _Deletion(JobSpec):
    """A job that reclaims the sessions of one owner, which opening it has revoked."""

    past, step, deletes = "deleted", "reclaiming sessions", True

    async def batch(self, client: ScriptClient, keys: Keys, job_id: str, limit: int) -> BatchReply:
        return await batches.reclaim_batch(client, keys, self.selection_in(keys), job_id=job_id, limit=limit)

    async def undo_batch(self, client: ScriptClient, keys: Keys, job_id: str, limit: int) -> BatchReply:
        return await batches.restore_batch(client, keys, self.selection_in(keys), job_id=job_id, limit=limit)

    async def measure(
        self, client: ScriptClient, keys: Keys, cursor: Cursor, limit: int
    ) -> tuple[Measured, Cursor]:
        return await proofs.measure_sessions(client, keys, self.selection_in(keys).index_key, cursor, limit)


@dataclass(frozen=True)
class UserDeletion(_Deletion):
    """Deletes the sessions that a user has when the job is opened.

    Example:
        >>> UserDeletion("user_123").target
        'user_123'
    """

    kind = JobKind.DELETE_USER

    user_id: str

    @property
    def target(self) -> str:
        return self.user_id

    def check(self, max_id_bytes: int) -> None:
        check_id("user_id", self.user_id, max_id_bytes)

    def scope(self, partitions: Partitions) -> list[Keys]:
        return [partitions.of_user(self.user_id)]

    def selection_in(self, keys: Keys) -> Selection:
        return Selection(keys.user_index(self.user_id), "all", "u", self.user_id)


@dataclass(frozen=True)
class AgentDeletion(_Deletion):
    """Deletes the sessions that an agent has when the job is opened, in every partition.

    Example:
        >>> AgentDeletion("chatbot").target
        'chatbot'
    """

    kind = JobKind.DELETE_AGENT

    agent_id: str

    @property
    def target(self) -> str:
        return self.agent_id

    def check(self, max_id_bytes: int) -> None:
        check_id("agent_id", self.agent_id, max_id_bytes)

    def selection_in(self, keys: Keys) -> Selection:
        return Selection(keys.agent_index(self.agent_id), "all", "a", self.agent_id)


@dataclass(frozen=True)
class Sweep(JobSpec):
    """Removes what is left of expired sessions in the indexes.

    Example:
        >>> Sweep().is_upkeep
        True
    """

    kind = JobKind.SWEEP
    past, step, is_upkeep = "swept", "sweeping expired sessions", True

    def check(self, max_id_bytes: int) -> None:
        """Check nothing: a sweep has no parameters."""

    def selection_in(self, keys: Keys) -> Selection:
        return Selection(keys.expiry_index, "due")

    async def batch(self, client: ScriptClient, keys: Keys, job_id: str, limit: int) -> BatchReply:
        return await batches.sweep_batch(client, keys, job_id=job_id, limit=limit)

    async def measure(
        self, client: ScriptClient, keys: Keys, cursor: Cursor, limit: int
    ) -> tuple[Measured, Cursor]:
        return await proofs.measure_expired(client, keys, cursor, limit)


@dataclass(frozen=True)
class Pruning(JobSpec):
    """Removes checkpoints of one session, of an agent's sessions, or of all. The newest of a session, and
    pinned ones, stay. With both limits, a checkpoint goes if it is over either of them.

    Example:
        >>> Pruning(agent_id="chatbot", keep_last=5).params
        {'agent_id': 'chatbot', 'keep_last': 5}
    """

    kind = JobKind.PRUNE
    unit, past, step = "checkpoint", "removed", "pruning checkpoints"

    session_id: str | None = None
    agent_id: str | None = None
    keep_last: int | None = None
    older_than_seconds: float | None = None
    #: Agents whose sessions are left alone.
    except_agents: tuple[str, ...] | None = None

    @property
    def target(self) -> str | None:
        return self.agent_id if self.session_id is None else self.session_id

    def check(self, max_id_bytes: int) -> None:
        if self.keep_last is None and self.older_than_seconds is None:
            raise InvalidArgumentError("prune_checkpoints needs keep_last or older_than, or both")
        if self.session_id is not None and self.agent_id is not None:
            raise InvalidArgumentError("prune_checkpoints takes session_id or agent_id, not both")
        for name, id_ in (("session_id", self.session_id), ("agent_id", self.agent_id)):
            if id_ is not None:
                check_id(name, id_, max_id_bytes)
        for id_ in self.except_agents or ():
            check_id("except_agents", id_, max_id_bytes)
        if self.keep_last is not None:
            check_count("keep_last", self.keep_last, 0)
        if self.older_than_seconds is not None:
            check_age_seconds("older_than", self.older_than_seconds)

    def scope(self, partitions: Partitions) -> list[Keys]:
        return partitions.all if self.session_id is None else [partitions.of_session(self.session_id)]

    def selection_in(self, keys: Keys) -> Selection:
        if self.agent_id is not None:
            return Selection(keys.agent_index(self.agent_id), "live")
        return Selection(keys.expiry_index, "live" if self.session_id is None else "one")

    async def batch(self, client: ScriptClient, keys: Keys, job_id: str, limit: int) -> BatchReply:
        limits = {"job_id": job_id, "limit": limit, **self._limits()}
        if self.session_id is not None:
            return await batches.prune_session(client, keys, session_id=self.session_id, **limits)
        selection, except_agents = self.selection_in(keys), self._except_agents_json()
        return await batches.prune_batch(client, keys, selection, except_agents=except_agents, **limits)

    async def measure(
        self, client: ScriptClient, keys: Keys, cursor: Cursor, limit: int
    ) -> tuple[Measured, Cursor]:
        return await proofs.measure_checkpoints(
            client,
            keys,
            self.selection_in(keys).index_key,
            cursor,
            limit,
            except_agents=self._except_agents_json(),
            session_id=self.session_id or "",
            **self._limits(),
        )

    def _limits(self) -> dict[str, Any]:
        """Return the limits as scripts take them: '' for one that is not set."""
        age = self.older_than_seconds
        return {
            "keep_last": "" if self.keep_last is None else self.keep_last,
            "max_age_us": "" if age is None else round(age * 1_000_000),
        }

    def _except_agents_json(self) -> str:
        return json.dumps(self.except_agents or [])
