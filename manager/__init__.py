"""Sessions and checkpoints of LLM agents on Redis. Knows Redis, knows nothing of Celery."""

if __name__ != "agent_runtime.manager":  # as `manager`, from a checkout
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
    from agent_runtime.aliases import install_alias

    install_alias(__name__, "agent_runtime.manager")


from agent_runtime.manager.cached_session_manager import CachedSessionManager
from agent_runtime.manager.errors import (
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
from agent_runtime.manager.integrity.scrubber import StoreScrubber
from agent_runtime.manager.jobs.request import JobOptions
from agent_runtime.manager.keys import new_checkpoint_id, new_job_id, new_session_id
from agent_runtime.manager.models.findings import Damage, Finding
from agent_runtime.manager.models.jobs import (
    JobKind,
    JobPage,
    JobProgress,
    JobState,
    Preview,
    Receipt,
    Residue,
)
from agent_runtime.manager.models.sessions import Checkpoint, NewCheckpoint, NewSession, Session
from agent_runtime.manager.session_manager import SessionManager
from agent_runtime.manager.settings import Settings, load_settings

__all__ = [
    "AgentSessionsError",
    "CachedSessionManager",
    "Checkpoint",
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
    "StoreScrubber",
    "StoreUnavailableError",
    "TooManyAffectedError",
    "load_settings",
    "new_checkpoint_id",
    "new_job_id",
    "new_session_id",
]
