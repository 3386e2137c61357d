"""The import path of `SessionManager` in the API reference. This module defines nothing."""

from agent_runtime.manager import CachedSessionManager, Checkpoint, Session, SessionManager

__all__ = ["CachedSessionManager", "Checkpoint", "Session", "SessionManager"]
