"""Sessions and checkpoints of LLM agents on Redis. Knows Redis, knows nothing of Celery.

Jobs have a package of their own, `agent_runtime.manager.jobs`, and so has the check of a whole store,
`agent_runtime.manager.integrity`. The whole tree of errors is in `agent_runtime.manager.errors`.
"""

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
    InvalidArgumentError,
    LayoutError,
    SessionLimitError,
    SessionNotFoundError,
    SettingsError,
    StoreError,
    StoreOutcomeUnknownError,
    StoreRefusedError,
    StoreUnavailableError,
)
from agent_runtime.manager.models.sessions import Checkpoint, NewCheckpoint, NewSession, Session
from agent_runtime.manager.new_ids import new_checkpoint_id, new_session_id
from agent_runtime.manager.session_manager import SessionManager
from agent_runtime.manager.settings import Settings, load_settings

__all__ = [
    "AgentSessionsError",
    "CachedSessionManager",
    "Checkpoint",
    "CorruptDataError",
    "InvalidArgumentError",
    "LayoutError",
    "NewCheckpoint",
    "NewSession",
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
    "new_checkpoint_id",
    "new_session_id",
]
