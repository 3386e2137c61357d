"""What callers get back."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_microseconds(moment_us: int) -> datetime:
    """The exact moment, in UTC (`datetime.fromtimestamp` would round through a float)."""
    return _EPOCH + timedelta(microseconds=moment_us)


class Session(BaseModel):
    """A user talking to an agent, until `expires_at`. Moments are in UTC, by the server's clock."""

    session_id: str
    user_id: str
    agent_id: str
    created_at: datetime
    expires_at: datetime
    metadata: dict[str, Any] = {}


class Checkpoint(BaseModel):
    """The state of a conversation at one moment."""

    checkpoint_id: str
    session_id: str
    data: dict[str, Any]
    created_at: datetime


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
    """How far a job is."""

    QUEUED = "queued"
    """In the ledger; no worker has begun. What it revokes is revoked already."""
    RUNNING = "running"
    """A worker has begun."""
    DONE = "done"
    """Nothing is left to do."""


class JobProgress(BaseModel):
    """How far a job is, from its record in Redis (summed over partitions)."""

    job_id: str
    kind: JobKind
    state: JobState
    total: int
    """Sessions the job has to look at, as counted when it was asked for."""
    done: int
    """Sessions it has looked at. May end above `total` where sessions are refreshed meanwhile."""
    removed: int
    """What the job is there to remove: sessions, or for a pruning checkpoints."""
    requested_at: datetime
    heartbeat_at: datetime
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.state is JobState.DONE
