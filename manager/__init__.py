"""Sessions and checkpoints of LLM agents on Redis. Knows Redis, knows nothing of Celery."""

from manager.cached_session_manager import CachedSessionManager
from manager.errors import (
    AgentSessionsError,
    CorruptDataError,
    DecryptionError,
    EnqueueError,
    InvalidArgumentError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    JobStateError,
    JobWaitTimeoutError,
    SessionLimitError,
    SessionNotFoundError,
    SettingsError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreRefusedError,
    StoreUnavailableError,
    TooManyAffectedError,
)
from manager.integrity.checkup import Checkup
from manager.integrity.findings import Damage, Finding
from manager.jobs.models import JobKind, JobPage, JobProgress, JobState, Preview, Receipt, Residue
from manager.jobs.options import JobOptions
from manager.keys import new_checkpoint_id, new_job_id, new_session_id
from manager.models import Checkpoint, NewCheckpoint, NewSession, Session
from manager.session_manager import SessionManager
from manager.settings import Settings, load_settings

__all__ = [
    "AgentSessionsError",
    "CachedSessionManager",
    "Checkpoint",
    "Checkup",
    "CorruptDataError",
    "Damage",
    "DecryptionError",
    "EnqueueError",
    "Finding",
    "InvalidArgumentError",
    "JobCancelledError",
    "JobFailedError",
    "JobKind",
    "JobNotFoundError",
    "JobOptions",
    "JobPage",
    "JobProgress",
    "JobState",
    "JobStateError",
    "JobWaitTimeoutError",
    "NewCheckpoint",
    "NewSession",
    "Preview",
    "Receipt",
    "Residue",
    "Session",
    "SessionLimitError",
    "SessionManager",
    "SessionNotFoundError",
    "Settings",
    "SettingsError",
    "StoreError",
    "StoreOutcomeUnknownError",
    "StoreRefusedError",
    "StoreUnavailableError",
    "TooManyAffectedError",
    "load_settings",
    "new_checkpoint_id",
    "new_job_id",
    "new_session_id",
]
