"""Models of jobs: the values that callers get back."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel


class JobKind(StrEnum):
    """A kind of job. `JobSpec.of(kind)` is its class.

    Example:
        >>> JobKind("prune_checkpoints")
        <JobKind.PRUNE: 'prune_checkpoints'>
    """

    DELETE_USER = "delete_user_sessions"
    """Reclaims the sessions that a user had when the job was requested."""
    DELETE_AGENT = "delete_agent_sessions"
    """Reclaims the sessions that an agent had when the job was requested."""
    PRUNE = "prune_checkpoints"
    """Removes checkpoints that are over a limit."""
    SWEEP = "cleanup_expired_sessions"
    """Removes what is left of expired sessions in the indexes."""


class JobState(StrEnum):
    """A state of a job. The sessions of a deletion stay revoked in all of them but `undoing` and `undone`.

    Example:
        >>> JobState.DONE.ended
        True
    """

    SCHEDULED = "scheduled"
    """Waits for the end of its grace. Until the job begins, it can be undone."""
    QUEUED = "queued"
    """Waits for a worker."""
    RUNNING = "running"
    """A worker has begun."""
    PAUSED = "paused"
    """Stopped until the job is resumed."""
    DONE = "done"
    """Nothing is left to do."""
    FAILED = "failed"
    """Too many attempts in a row came to nothing; `error` says why. The job can be resumed."""
    CANCELLED = "cancelled"
    """Stopped for good, unless the job is resumed."""
    UNDOING = "undoing"
    """Sessions are being restored."""
    UNDONE = "undone"
    """Everything is as if the job had not been requested."""

    @property
    def ended(self) -> bool:
        """True if the job will change nothing any more by itself."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.UNDONE)


class Residue(BaseModel):
    """Result of a deletion's search, at its end, for sessions that it should have deleted.

    Example:
        >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
        >>> (await manager.jobs.run(opened.job_id)).receipt.residue
        Residue(scope='index', sessions=0)
    """

    scope: str
    """`index`: the target's index was searched. `store`: every session in the store was."""
    sessions: int
    """Sessions of the target that existed at the cut-off and are still there. 0 is the proof."""


class Receipt(BaseModel):
    """The proof of a deletion, without the name of its target.

    Its `hash` covers every other field, `previous` among them, with a key (`AGENT_SESSIONS_RECEIPT_KEY`). So
    the chain shows a receipt that was altered, removed or inserted.

    Example:
        >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
        >>> (await manager.jobs.run(opened.job_id)).receipt.sessions
        3
    """

    number: int
    """Its place in the chain, from 1."""
    job_id: str
    kind: JobKind
    target: str
    """The user or agent as a keyed hash: `manager.jobs.receipts.target_hash(id)` returns the same for its id.
    """
    requested_at: datetime
    cutoff_at: datetime
    """All that existed at this moment is gone. Nothing that came later was touched; over several partitions,
    sessions that came while the job was being requested may have been."""
    started_at: datetime
    finished_at: datetime
    sessions: int
    checkpoints: int
    index_entries: int
    """Entries of indexes that were removed, one by one or with the index."""
    seconds_waited: float
    """From the request to the first batch."""
    seconds_worked: float
    """From the first batch to the end."""
    residue: Residue
    previous: str
    """Hash of the receipt before this one; empty in the first."""
    hash: str


class JobProgress(BaseModel):
    """Progress of a job, from its record in Redis (summed over partitions).

    Example:
        >>> opened = await manager.jobs.open(manager.jobs.user_deletion("user_123"))
        >>> progress = await manager.jobs.progress(opened.job_id)
        >>> f"{progress.state}: {progress.done}/{progress.total}"
        'queued: 0/3'
    """

    job_id: str
    kind: JobKind
    target: str | None
    """The user, agent or session whose data the job changes; None for all."""
    state: JobState
    total: int
    """Sessions that the job has to look at, as counted when it was requested."""
    done: int
    """Sessions that the job has looked at. May end above `total` if sessions are refreshed meanwhile."""
    removed: int
    """Sessions removed, or for a pruning checkpoints."""
    restored: int = 0
    """Sessions that an undo has restored."""
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
    """The receipt of a deletion that is done."""

    @property
    def finished(self) -> bool:
        """True if nothing is left to do."""
        return self.state is JobState.DONE


class JobPage(BaseModel):
    """Some jobs, newest first.

    Example:
        >>> page = await jobs.list(limit=50)
        >>> more = await jobs.list(limit=50, cursor=page.cursor)
    """

    jobs: list[JobProgress]
    cursor: str | None
    """The cursor of the next page; None at the end."""


class Preview(BaseModel):
    """Measures of what a job would remove if it were requested now.

    Example:
        >>> (await jobs.preview_user_deletion("user_123")).affected
        3
    """

    kind: JobKind
    target: str | None
    sessions: int
    """Sessions that would be deleted or swept, or of which checkpoints would be pruned."""
    checkpoints: int
    affected: int
    """The number that `max_affected` limits: checkpoints for a pruning, otherwise sessions."""
    bytes: int
    """Memory of what would be removed, as the server estimates it, indexes not included."""
    sample: list[str]
    """A few of the session ids."""
