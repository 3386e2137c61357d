"""What callers get to see of jobs."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel


class JobKind(StrEnum):
    """What a job does."""

    DELETE_USER = "delete_user_sessions"
    """Reclaims the sessions that a user had when the job was asked for."""
    DELETE_AGENT = "delete_agent_sessions"
    """Reclaims the sessions that an agent had when the job was asked for."""
    PRUNE = "prune_checkpoints"
    """Removes checkpoints that a policy no longer keeps."""
    SWEEP = "cleanup_expired_sessions"
    """Removes what is left in the indexes of sessions that ran out."""


class JobState(StrEnum):
    """Where a job is in its life. What a deletion revokes is revoked in all of them but the last two."""

    SCHEDULED = "scheduled"
    """Waits for the end of its grace; until then, and until it begins, it can be undone."""
    QUEUED = "queued"
    """In the ledger; no worker has begun."""
    RUNNING = "running"
    """A worker has begun."""
    PAUSED = "paused"
    """Stopped until it is resumed."""
    DONE = "done"
    """Nothing is left to do."""
    FAILED = "failed"
    """The same batch failed, or killed its process, again and again; `error` says why. Can be resumed."""
    CANCELLED = "cancelled"
    """Stopped for good, unless it is resumed."""
    UNDOING = "undoing"
    """Sessions are coming back."""
    UNDONE = "undone"
    """Everything is as if it had not been asked for."""

    @property
    def ended(self) -> bool:
        """Whether the job will change nothing any more by itself."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.UNDONE)


class Residue(BaseModel):
    """What a deletion looked for at its end, and what of the target it found."""

    scope: str
    """`index`: what the target's index lists now. `store`: every session in the store."""
    sessions: int
    """Sessions of the target that existed at the cut-off and are still there. 0 is the proof."""


class Receipt(BaseModel):
    """The proof of a deletion, without the name of whom it was about.

    Its `hash` covers every other field, `previous` among them, with a key (`AGENT_SESSIONS_RECEIPT_KEY`).
    So a receipt that was altered, taken out or put in shows in the chain.
    """

    number: int
    """Its place in the chain, from 1."""
    job_id: str
    kind: JobKind
    target: str
    """The user or agent as a keyed hash: `manager.jobs.receipts.target_hash(id)` gives the same for it."""
    requested_at: datetime
    cutoff_at: datetime
    """What existed at this moment is gone. What came later was not touched; over several partitions, what
    came while the job was being asked for may have been."""
    started_at: datetime
    finished_at: datetime
    sessions: int
    checkpoints: int
    index_entries: int
    """Places in indexes that were removed, one by one or with the index."""
    seconds_waited: float
    """From the request to the first batch."""
    seconds_worked: float
    """From the first batch to the end."""
    residue: Residue
    previous: str
    """Hash of the receipt before this one; empty in the first."""
    hash: str


class JobProgress(BaseModel):
    """How far a job is, from its record in Redis (summed over partitions)."""

    job_id: str
    kind: JobKind
    target: str | None
    """The user, agent or session that the job is about; None for all."""
    state: JobState
    total: int
    """Sessions the job has to look at, as counted when it was asked for."""
    done: int
    """Sessions it has looked at. May end above `total` where sessions are refreshed meanwhile."""
    removed: int
    """What the job is there to remove: sessions, or for a pruning checkpoints."""
    restored: int = 0
    """Sessions that an undo has brought back."""
    damaged: int = 0
    """Sessions that a pruning could not read and left as they are; `agent-sessions check` tells more."""
    requested_by: str | None = None
    reason: str | None = None
    requested_at: datetime
    due_at: datetime | None = None
    """End of the grace, if there is one."""
    started_at: datetime | None = None
    heartbeat_at: datetime
    finished_at: datetime | None = None
    rate_per_second: float | None = None
    """Sessions looked at, per second since the job was started or resumed."""
    estimated_end_at: datetime | None = None
    error: str | None = None
    receipt: Receipt | None = None
    """Of a deletion that is done."""

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state is JobState.DONE


class JobPage(BaseModel):
    """Some jobs, newest first."""

    jobs: list[JobProgress]
    cursor: str | None
    """To ask for the next page; None at the end."""


class Preview(BaseModel):
    """What a job would remove if it were asked for now."""

    kind: JobKind
    target: str | None
    sessions: int
    """Sessions that would be deleted or swept, or of which checkpoints would be pruned."""
    checkpoints: int
    affected: int
    """The number that `max_affected` limits: checkpoints for a pruning, otherwise sessions."""
    bytes: int
    """Memory of what would go, as the server estimates it, indexes not included."""
    sample: list[str]
    """A few of the session ids."""
