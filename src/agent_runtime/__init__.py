"""Session and checkpoint lifecycle for LLM agents on Redis.

    from agent_runtime import SessionManager, SessionJobs

    agent_runtime.manager     the store: sessions, checkpoints, jobs
    agent_runtime.tasks       the Celery app and its tasks
    agent_runtime.worker      the processes and the command line

`SessionJobs` is imported at its first use, so a service that only reads and writes sessions does not load
Celery.
"""

from typing import TYPE_CHECKING, Any

if __name__ != "agent_runtime":  # as `src.agent_runtime`, from a checkout
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent))
    from agent_runtime.aliases import install_alias

    install_alias(__name__, "agent_runtime")

from agent_runtime.manager import CachedSessionManager, Checkpoint, Session, SessionManager

if TYPE_CHECKING:
    from agent_runtime.tasks import SessionJobs

__all__ = ["CachedSessionManager", "Checkpoint", "Session", "SessionJobs", "SessionManager"]


if not TYPE_CHECKING:  # a type checker would take any name to exist

    def __getattr__(name: str) -> Any:
        if name == "SessionJobs":
            from agent_runtime.tasks import SessionJobs

            return SessionJobs
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
