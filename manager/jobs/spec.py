"""What a job does: the index it is about, and one batch of it."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple, Self

from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.models.jobs import JobKind
from agent_runtime.manager.scripts import batches as scripts
from agent_runtime.manager.scripts.batches import BatchReply, Target
from agent_runtime.manager.transport.script_client import ScriptClient

#: Does one batch of at most so many sessions.
Batch = Callable[[int], Awaitable[BatchReply]]


class PrunePolicy(NamedTuple):
    """Which checkpoints a pruning removes, and where. The newest of a session, and pinned ones, stay.

    With both limits, a checkpoint goes when it is over either of them.
    """

    session_id: str | None = None
    agent_id: str | None = None
    keep_last: int | None = None
    older_than_seconds: float | None = None
    #: Agents that have a policy of their own.
    except_agents: tuple[str, ...] | None = None

    @property
    def max_age_us(self) -> int | str:
        return "" if self.older_than_seconds is None else round(self.older_than_seconds * 1_000_000)


class JobSpec(NamedTuple):
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

    @classmethod
    def pruning(cls, policy: PrunePolicy) -> Self:
        return cls(
            JobKind.PRUNE, {name: value for name, value in policy._asdict().items() if value is not None}
        )

    @property
    def params_json(self) -> str:
        return json.dumps(self.params)

    @property
    def name(self) -> str:
        """The same for the same work."""
        return f"{self.kind}:{self.params_json}"

    @property
    def about(self) -> str | None:
        """The user, agent or session that it is about; None for all."""
        for name in ("user_id", "agent_id", "session_id"):
            if name in self.params:
                return str(self.params[name])
        return None

    @property
    def policy(self) -> PrunePolicy:
        """Of a pruning."""
        return PrunePolicy(**self.params)

    def scope(self, partitions: Partitions) -> list[Keys]:
        """The partitions in which the job has a part, its home first."""
        if "session_id" in self.params:
            return [partitions.of_session(self.params["session_id"])]
        if "user_id" in self.params:
            return [partitions.of_user(self.params["user_id"])]
        return partitions.all

    def target(self, keys: Keys) -> Target:
        """What it works on in one partition."""
        if self.kind is JobKind.DELETE_USER:
            user_id = self.params["user_id"]
            return Target(keys.user_index(user_id), "all", "u", user_id)
        if self.kind is JobKind.DELETE_AGENT:
            agent_id = self.params["agent_id"]
            return Target(keys.agent_index(agent_id), "all", "a", agent_id)
        if self.kind is JobKind.SWEEP:
            return Target(keys.expiry_index, "due")
        if "agent_id" in self.params:
            return Target(keys.agent_index(self.params["agent_id"]), "live")
        return Target(keys.expiry_index, "one" if "session_id" in self.params else "live")

    def batch(self, client: ScriptClient, keys: Keys, job_id: str, *, undo: bool) -> Batch:
        """What one batch in one partition is; with `undo`, what takes one back."""
        target = self.target(keys)
        if undo:
            do: Callable[..., Awaitable[BatchReply]] = partial(scripts.restore_batch, client, keys, target)
        elif self.kind.deletes:
            do = partial(scripts.reclaim_batch, client, keys, target)
        elif self.kind is JobKind.SWEEP:
            do = partial(scripts.sweep_batch, client, keys)
        else:
            do = self._pruning_batch(client, keys, target)
        return lambda limit: do(job_id=job_id, limit=limit)

    def _pruning_batch(
        self, client: ScriptClient, keys: Keys, target: Target
    ) -> Callable[..., Awaitable[BatchReply]]:
        policy = self.policy
        keep_last = "" if policy.keep_last is None else policy.keep_last
        limits: dict[str, Any] = {"keep_last": keep_last, "max_age_us": policy.max_age_us}
        if policy.session_id is not None:
            return partial(scripts.prune_session, client, keys, session_id=policy.session_id, **limits)
        except_agents = json.dumps(policy.except_agents or [])
        return partial(scripts.prune_batch, client, keys, target, except_agents=except_agents, **limits)
