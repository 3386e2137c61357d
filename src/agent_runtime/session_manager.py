"""The documented import path of `SessionManager`. Defines nothing."""

from agent_runtime.manager import CachedSessionManager, Checkpoint, Session, SessionManager

__all__ = ["CachedSessionManager", "Checkpoint", "Session", "SessionManager"]
