"""The interface of a kind of job. Each kind is one subclass of `JobSpec`, in `kinds.py`."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.models.jobs import JobKind
from agent_runtime.manager.scripts.batches import BatchReply, Selection
from agent_runtime.manager.scripts.jobs import Work
from agent_runtime.manager.scripts.proofs import Measured
from agent_runtime.manager.scripts.replies import Cursor
from agent_runtime.manager.transport.script_client import ScriptClient


@dataclass(frozen=True)
class JobSpec(ABC):
    """A kind of job and its parameters, which are the fields of the subclass.

    Example:
        >>> manager.jobs.user_deletion("user_123")
        UserDeletion(user_id='user_123')
    """

    kind: ClassVar[JobKind]
    #: The unit that the job removes and `max_affected` limits: "session" or "checkpoint".
    unit: ClassVar[str] = "session"
    #: The past participle of what the job does to a unit: "deleted".
    past: ClassVar[str]
    #: The work of a batch, for the reason of a failure: "reclaiming sessions".
    step: ClassVar[str]
    #: True if opening the job revokes the selected sessions, and its batches reclaim them.
    deletes: ClassVar[bool] = False
    #: True if the job is upkeep, which must not wait behind bulk work.
    is_upkeep: ClassVar[bool] = False

    _kinds: ClassVar[dict[JobKind, type["JobSpec"]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__:
            JobSpec._kinds[cls.kind] = cls

    @staticmethod
    def of(kind: JobKind) -> type["JobSpec"]:
        """Return the class of a kind.

        Example:
            >>> JobSpec.of(JobKind.PRUNE).unit
            'checkpoint'
        """
        return JobSpec._kinds[kind]

    @staticmethod
    def from_record(record: dict[str, str]) -> "JobSpec":
        """Return the spec that is kept in a job's record."""
        return JobSpec.of(JobKind(record["kind"]))(**json.loads(record["params"]))

    @property
    def params(self) -> dict[str, Any]:
        """The parameters that are set, as the job's record keeps them."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def params_json(self) -> str:
        return json.dumps(self.params)

    @property
    def name(self) -> str:
        """A text that is the same for the same work."""
        return f"{self.kind}:{self.params_json}"

    @property
    def target(self) -> str | None:
        """The user, agent or session whose data the job changes; None for all."""
        return None

    def work_in(self, keys: Keys) -> Work:
        """Return what the job does in one partition, as scripts take it."""
        return Work(self.kind, self.params_json, self.selection_in(keys))

    @abstractmethod
    def check(self, max_id_bytes: int) -> None:
        """Check the parameters.

        Raises:
            InvalidArgumentError: one of them is not acceptable.
        """

    def scope(self, partitions: Partitions) -> list[Keys]:
        """Return the partitions in which the job has a part, its home first."""
        return partitions.all

    @abstractmethod
    def selection_in(self, keys: Keys) -> Selection:
        """Return the sessions that the job works on in one partition."""

    @abstractmethod
    async def batch(self, client: ScriptClient, keys: Keys, job_id: str, limit: int) -> BatchReply:
        """Do one batch of at most `limit` sessions in one partition."""

    async def undo_batch(self, client: ScriptClient, keys: Keys, job_id: str, limit: int) -> BatchReply:
        """Take one batch back of what opening the job did. By default, that was nothing."""
        return BatchReply.END

    @abstractmethod
    async def measure(
        self, client: ScriptClient, keys: Keys, cursor: Cursor, limit: int
    ) -> tuple[Measured, Cursor]:
        """Measure one page of what the job would remove in one partition, for a preview.

        Return the cursor of the next page too, or `START` at the end.
        """
