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
    """Tells those who remember sessions, around each call that changes or removes some.

    A listener is told twice: before the call, which may come about or not, and after it, because of reads
    that began before the call and end beside it.
    """

    def __init__(self, chunk_index: ChunkIndex) -> None:
        #: What this process knows of the chunks of checkpoints.
        self.chunk_index = chunk_index
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
    def revoking(self, *, user_id: str | None = None, agent_id: str | None = None) -> Iterator[None]:
        """Enter around each revocation of all sessions of a user or an agent."""
        self._revoked(user_id, agent_id)
        try:
            yield
        finally:
            self._revoked(user_id, agent_id)

    def _changed(self, session_ids: tuple[str, ...]) -> None:
        for listener in self._listeners:
            for session_id in session_ids:
                listener.session_changed(session_id)

    def _revoked(self, user_id: str | None, agent_id: str | None) -> None:
        for listener in self._listeners:
            listener.sessions_revoked(user_id, agent_id)
