"""The one place through which a process forgets what it remembers of sessions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from agent_runtime.manager.chunks.chunk_index import ChunkIndex


class Listener(Protocol):
    """Remembers sessions, and is told which of them to forget."""

    def session_changed(self, session_id: str) -> None:
        """Forget a session that has changed or is gone."""

    def sessions_revoked(self, user_id: str | None, agent_id: str | None) -> None:
        """Forget all sessions of a user or an agent."""


class LocalCopies:
    """Drops copies of sessions and texts of their checkpoints, whichever call removes these.

    Each context below forgets twice: before the call, which may come about or not, and after it, because of
    reads that began before the call.
    """

    def __init__(self) -> None:
        #: The chunks of checkpoints that this process knows.
        self.chunk_index = ChunkIndex()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell a listener too, from now on."""
        self._listeners.append(listener)

    @contextmanager
    def changing(self, *session_ids: str) -> Iterator[None]:
        """Enter around each change of sessions."""
        self._changed(session_ids)
        try:
            yield
        finally:
            self._changed(session_ids)

    @contextmanager
    def removing(self, *session_ids: str) -> Iterator[None]:
        """Enter around each removal of sessions with their checkpoints."""
        self._removed(session_ids)
        try:
            yield
        finally:
            self._removed(session_ids)

    @contextmanager
    def revoking(self, *, user_id: str | None = None, agent_id: str | None = None) -> Iterator[None]:
        """Enter around each revocation of all sessions of a user or an agent."""
        self._revoked(user_id, agent_id)
        try:
            yield
        finally:
            self._revoked(user_id, agent_id)

    @contextmanager
    def removing_checkpoints(self, session_id: str | None = None) -> Iterator[None]:
        """Enter around each removal of some checkpoints of a session, or of any sessions."""
        self.chunk_index.forget_texts(session_id)
        try:
            yield
        finally:
            self.chunk_index.forget_texts(session_id)

    def found_gone(self, session_id: str) -> None:
        """Forget the texts of a session which a call found not live, or without checkpoints."""
        self.chunk_index.forget_session(session_id)

    def found(self, session_id: str, is_live: bool) -> bool:
        """Return `is_live`, and forget the texts of the session if it is not."""
        if not is_live:
            self.found_gone(session_id)
        return is_live

    def _changed(self, session_ids: tuple[str, ...]) -> None:
        for listener in self._listeners:
            for session_id in session_ids:
                listener.session_changed(session_id)

    def _removed(self, session_ids: tuple[str, ...]) -> None:
        self._changed(session_ids)
        for session_id in session_ids:
            self.chunk_index.forget_session(session_id)

    def _revoked(self, user_id: str | None, agent_id: str | None) -> None:
        for listener in self._listeners:
            listener.sessions_revoked(user_id, agent_id)
        if user_id is not None:
            self.chunk_index.forget_user(user_id)
        if agent_id is not None:
            # Any session may be the agent's.
            self.chunk_index.forget_texts()
