"""Session and checkpoint lifecycle for LLM agents on Redis.

    from agent_runtime import SessionManager, SessionJobs

    agent_runtime.manager     the store: sessions, checkpoints, jobs
    agent_runtime.tasks       the Celery app and its tasks
    agent_runtime.worker      the processes and the command line

Each name is imported at its first use. So a service that only reads and writes sessions does not load Celery,
and `agent-sessions --help` loads neither Celery nor the store.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "agent_runtime":  # as `src.agent_runtime`, from a checkout
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent))
    from agent_runtime.aliases import install_alias

    install_alias(__name__, "agent_runtime")

if TYPE_CHECKING:
    from agent_runtime.manager import CachedSessionManager, Checkpoint, Session, SessionManager
    from agent_runtime.tasks import SessionJobs

__all__ = ["CachedSessionManager", "Checkpoint", "Session", "SessionJobs", "SessionManager"]


if not TYPE_CHECKING:  # a type checker would take any name to exist

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = "agent_runtime.tasks" if name == "SessionJobs" else "agent_runtime.manager"
        value = globals()[name] = getattr(import_module(home), name)
        return value
