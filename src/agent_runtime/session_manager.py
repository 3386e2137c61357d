"""The documented import path of `SessionManager`. Nothing is defined here."""

from manager import CachedSessionManager, Checkpoint, Session, SessionManager

__all__ = ["CachedSessionManager", "Checkpoint", "Session", "SessionManager"]
