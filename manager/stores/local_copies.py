"""The one place through which a process forgets what it remembers of sessions."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

from agent_runtime.manager.chunks.chunk_index import ChunkIndex


class Listener(Protocol):
    """Remembers sessions, and is told which of them to forget."""

    def session_changed(self, session_id: str) -> None:
        """Forget a session that has changed or is gone."""

    def sessions_revoked(self, user_id: str | None, agent_id: str | None) -> None:
        """Forget all sessions of a user or an agent."""


class _Around:
    """A context that calls one function when it is entered and another one when it ends, however it ends."""

    __slots__ = ("_after", "_before")

    def __init__(self, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._before = before
        self._after = after

    def __enter__(self) -> None:
        self._before()

    def __exit__(self, *_: object) -> None:
        self._after()


class LocalCopies:
    """Drops copies of sessions and texts of their checkpoints, whichever call removes these.

    Each context below drops copies twice: before the call, so that what reads meanwhile asks the server, and
    after the call, because a read may have ended in between. Texts are dropped after the call: they are never
    out of date, and no read or save that began before that moment brings one back.
    """

    def __init__(self) -> None:
        #: The chunks of checkpoints that this process knows.
        self.chunk_index = ChunkIndex()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell a listener too, from now on."""
        self._listeners.append(listener)

    def changing(self, *session_ids: str) -> AbstractContextManager[None]:
        """Enter around each change of sessions."""
        changed = partial(self._changed, session_ids)
        return _Around(changed, changed)

    def removing(self, *session_ids: str) -> AbstractContextManager[None]:
        """Enter around each removal of sessions with their checkpoints."""
        return _Around(partial(self._changed, session_ids), partial(self._removed, session_ids))

    def revoking(
        self, *, user_id: str | None = None, agent_id: str | None = None
    ) -> AbstractContextManager[None]:
        """Enter around each revocation of all sessions of a user or an agent."""
        revoked = partial(self._revoked, user_id, agent_id)
        return _Around(revoked, revoked)

    def removing_checkpoints(self, session_id: str | None = None) -> AbstractContextManager[None]:
        """Enter around each removal of some checkpoints of a session, or of any sessions."""
        return _Around(_nothing, partial(self.chunk_index.forget_texts, session_id))

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


def _nothing() -> None:
    """Do nothing."""
