"""A `SessionManager` that remembers the sessions it read last."""

import threading
import time
from collections import OrderedDict
from typing import Any, NamedTuple

from manager.checks import check_count, check_positive
from manager.models import Session
from manager.session_manager import SessionManager


class _Copy(NamedTuple):
    session: Session
    #: Monotonic moment from which the copy must not be used, seconds.
    stale_at: float


class CachedSessionManager(SessionManager):
    """Answers `get_session` from memory where it can.

    What this manager changes, deletes or revokes is seen at once. What another process changes is seen
    after at most `max_staleness` seconds. An expired session is never returned: its remaining life is
    taken from the server's clock when it is read. Callers get copies, so changing one changes nothing here.

    Args:
        cache_size: most sessions to remember; the one not asked for longest goes first.
        max_staleness: longest a copy is used, seconds.

    Example:
        >>> manager = CachedSessionManager(redis.Redis(), cache_size=1_000, max_staleness=0.5)
    """

    def __init__(self, *args: Any, cache_size: int = 100, max_staleness: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cache_size = check_count("cache_size", cache_size, 1)
        self._max_staleness = check_positive("max_staleness", max_staleness)
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        self._lock = threading.Lock()
        #: Counts what made copies void, so that a read begun before a change cannot bring the old state back.
        self._changes = 0

    async def get_session(self, session_id: str) -> Session | None:
        """The session, from memory if it was read within `max_staleness`; otherwise as the parent does."""
        self._check_id("session_id", session_id)
        asked_at = time.monotonic()
        with self._lock:
            copy = self._copies.get(session_id)
            if copy is not None and asked_at < copy.stale_at:
                self._copies.move_to_end(session_id)
                return copy.session.model_copy(deep=True)
            changes = self._changes
        found = await self._read_session(session_id)
        if found is None:
            with self._lock:
                self._copies.pop(session_id, None)
            return None
        now_ms, session = found
        life = session.expires_at.timestamp() - now_ms / 1000
        self._remember(session, asked_at + min(life, self._max_staleness), changes)
        return session

    def _remember(self, session: Session, stale_at: float, changes: int) -> None:
        copy = _Copy(session.model_copy(deep=True), stale_at)
        with self._lock:
            if changes != self._changes:
                return
            self._copies[session.session_id] = copy
            self._copies.move_to_end(session.session_id)
            if len(self._copies) > self._cache_size:
                self._copies.popitem(last=False)

    def _session_changed(self, session_id: str) -> None:
        with self._lock:
            self._changes += 1
            self._copies.pop(session_id, None)

    def _sessions_revoked(self, user_id: str | None, agent_id: str | None) -> None:
        with self._lock:
            self._changes += 1
            # A copy's user is the session's for ever; its agent may have changed elsewhere since it was made.
            void = [
                session_id
                for session_id, copy in self._copies.items()
                if agent_id is not None or copy.session.user_id == user_id
            ]
            for session_id in void:
                del self._copies[session_id]
