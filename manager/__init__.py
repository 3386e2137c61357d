"""Sessions and checkpoints of LLM agents on Redis. Knows Redis, knows nothing of Celery."""

from manager.cached_session_manager import CachedSessionManager
from manager.errors import (
    AgentSessionsError,
    CorruptDataError,
    EnqueueError,
    InvalidArgumentError,
    JobNotFoundError,
    JobWaitTimeoutError,
    SessionLimitError,
    SessionNotFoundError,
    SettingsError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreRefusedError,
    StoreUnavailableError,
)
from manager.models import Checkpoint, JobKind, JobProgress, JobState, Session
from manager.session_manager import SessionManager
from manager.settings import Settings, load_settings

__all__ = [
    "AgentSessionsError",
    "CachedSessionManager",
    "Checkpoint",
    "CorruptDataError",
    "EnqueueError",
    "InvalidArgumentError",
    "JobKind",
    "JobNotFoundError",
    "JobProgress",
    "JobState",
    "JobWaitTimeoutError",
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
    "load_settings",
]
