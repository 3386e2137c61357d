"""A `SessionManager` that remembers the sessions it read last."""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from agent_runtime.manager.errors import AgentSessionsError
from agent_runtime.manager.keys import Change
from agent_runtime.manager.methods.batches import Read
from agent_runtime.manager.models.sessions import Session
from agent_runtime.manager.session_manager import SessionManager
from agent_runtime.manager.transport.invalidation import Lease, Tracker
from agent_runtime.manager.validation import check_count, check_flag, check_many, check_positive

#: Longest a copy is used under a lease, seconds: for what no message tells, such as an index that the server
#: evicted or an operator mended by hand.
_LONGEST_USE_SECONDS = 60.0


class _Copy(NamedTuple):
    session: Session
    #: Monotonic moment from which the copy must not be used, seconds.
    stale_at: float
    #: Under which it was read; None where changes were not told, so that it counts for a while only.
    lease: Lease | None


class CachedSessionManager(SessionManager):
    """Answers `get_session` and `get_sessions` from memory where it can.

    What this manager changes, deletes or revokes is seen at once. What another process changes is seen as
    soon as the server's word of it arrives (client tracking, on a connection of its own for each event
    loop), and in any case after at most `max_staleness` seconds: when that connection is lost, the cache is
    emptied; when it is silent for so long, sessions are read from the server. Where tracking is not to be
    had (no right to `CLIENT TRACKING`, a proxy, a client that is called in threads), a copy is used for at
    most `max_staleness` seconds. So it is where users have keys of their own: no word comes of an erased key.

    An expired session is never returned: its remaining life is taken from the server's clock when it is read.
    Callers get copies, so changing one changes nothing here.

    Args:
        cache_size: most sessions to remember; the one not asked for longest goes first.
        max_staleness: longest that a change made elsewhere may go unseen, seconds.
        tracking: whether to ask the server for word of changes. Each change of a session in the namespace
            costs a message of some 60 bytes to each event loop that listens.

    Example:
        >>> manager = CachedSessionManager(redis.Redis(), cache_size=1_000, max_staleness=0.5)
    """

    def __init__(
        self,
        *args: Any,
        cache_size: int = 100,
        max_staleness: float = 1.0,
        tracking: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._conn = args[0] if args else kwargs["conn"]
        self._cache_size = check_count("cache_size", cache_size, 1)
        self._max_staleness = check_positive("max_staleness", max_staleness)
        self._is_tracking = check_flag("tracking", tracking)
        has_user_keys = self.settings.user_keys_url is not None
        self._longest_use = self._max_staleness if has_user_keys else _LONGEST_USE_SECONDS
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        #: Readings under way, the last of each session. What changes a session takes its reading out, so that
        #: one begun before the change cannot bring the old state back.
        self._readings: dict[str, object] = {}
        self._lock = threading.Lock()
        self._trackers: dict[asyncio.AbstractEventLoop, tuple[Tracker, asyncio.Task[None]]] = {}

    async def get_session(self, session_id: str) -> Session | None:
        """The session, from memory where it is known to be right; otherwise as the parent does."""
        copy = self._find_copy(self._check_id("session_id", session_id))
        if copy is not None:
            return copy
        with self._reading([session_id]) as begun:
            found = await self._read_session(session_id)
            self._remember(session_id, found, begun)
        return None if found is None else found[1]

    async def get_sessions(self, session_ids: Iterable[str]) -> list[Session | AgentSessionsError | None]:
        """The sessions, from memory where they are known to be right; otherwise as the parent does."""
        names = check_many("session_ids", session_ids)
        copies = [self._find_copy(name) if isinstance(name, str) else None for name in names]
        missing = [name for name, copy in zip(names, copies, strict=True) if copy is None]
        with self._reading([name for name in missing if isinstance(name, str)]) as begun:
            reads = await self._read_sessions(missing)
            for name, read in zip(missing, reads, strict=True):
                self._remember(name, read, begun)
        found = iter(reads)
        return [copy or _session_of(next(found)) for copy in copies]

    def is_tracking_active(self) -> bool:
        """Whether the server tells this event loop of changes; else `max_staleness` bounds what is used.

        It begins with the first read.

        Example:
            >>> manager.is_tracking_active()
            True
        """
        listening = self._trackers.get(asyncio.get_running_loop())
        lease = listening[0].lease if listening else None
        return lease is not None and time.monotonic() < lease.valid_until

    async def aclose(self) -> None:
        """As the parent does; what was remembered under this event loop's connection is forgotten."""
        with self._lock:
            _, listening = self._trackers.pop(asyncio.get_running_loop(), (None, None))
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])
        await super().aclose()

    def _find_copy(self, session_id: str) -> Session | None:
        now = time.monotonic()
        with self._lock:
            copy = self._copies.get(session_id)
            if copy is None or copy.stale_at <= now:
                return None
            if copy.lease is not None and copy.lease.valid_until <= now:
                return None
            self._copies.move_to_end(session_id)
        return _copied(copy.session)

    @contextmanager
    def _reading(self, session_ids: list[str]) -> Iterator["_Reading"]:
        reading = _Reading(time.monotonic(), self._current_lease())
        with self._lock:
            self._readings.update(dict.fromkeys(session_ids, reading))
        try:
            yield reading
        finally:
            with self._lock:
                for session_id in session_ids:
                    if self._readings.get(session_id) is reading:
                        del self._readings[session_id]

    def _remember(self, session_id: Any, read: Read, reading: "_Reading") -> None:
        if isinstance(read, AgentSessionsError):
            return
        if read is None:
            self._drop_copy(session_id)
            return
        now_ms, session = read
        life = session.expires_at.timestamp() - (now_ms + 1) / 1000  # the server's time, rounded down
        longest = self._max_staleness if reading.lease is None else self._longest_use
        copy = _Copy(_copied(session), reading.begun_at + min(life, longest), reading.lease)
        with self._lock:
            if self._readings.get(session_id) is not reading:
                return
            self._copies[session_id] = copy
            self._copies.move_to_end(session_id)
            if len(self._copies) > self._cache_size:
                self._copies.popitem(last=False)

    def _current_lease(self) -> Lease | None:
        """That of the running event loop's connection, which is made if there is none."""
        if not self._is_tracking:
            return None
        loop = asyncio.get_running_loop()
        found = self._trackers.get(loop)
        if found is None:
            tracker = Tracker(
                self._conn,
                self._partitions.prefixes_of_changes(),
                self._on_changed,
                lease_seconds=self._max_staleness,
                timeout_seconds=self.settings.call_timeout_seconds,
            )
            found = tracker, loop.create_task(tracker.run())
            with self._lock:
                for closed in [other for other in self._trackers if other.is_closed()]:
                    del self._trackers[closed]
                self._trackers[loop] = found
        return found[0].lease

    def _on_changed(self, key: bytes | None) -> None:
        """What the server says."""
        if key is None:
            with self._lock:
                self._readings.clear()
                self._copies.clear()
            return
        change, name = self._partitions.change_told_by(key)
        if change is Change.SESSION:
            self._session_changed(name)
        elif change is not Change.OTHER:
            self._drop_copies_of("user_id" if change is Change.USER_REVOKED else "agent_id", name)

    def _session_changed(self, session_id: str) -> None:
        with self._lock:
            self._readings.pop(session_id, None)
            self._copies.pop(session_id, None)

    def _drop_copy(self, session_id: str) -> None:
        with self._lock:
            self._copies.pop(session_id, None)

    def _sessions_revoked(self, user_id: str | None, agent_id: str | None) -> None:
        if user_id is not None:
            self._drop_copies_of("user_id", user_id)
        if agent_id is not None:
            # A copy's user is the session's for ever; its agent may have changed elsewhere since it was made.
            self._on_changed(None)

    def _drop_copies_of(self, field: str, owner: str) -> None:
        with self._lock:
            self._readings.clear()  # whose they are is not known yet
            void = [name for name, copy in self._copies.items() if getattr(copy.session, field) == owner]
            for session_id in void:
                del self._copies[session_id]


class _Reading(NamedTuple):
    begun_at: float
    lease: Lease | None


def _session_of(read: Read) -> Session | AgentSessionsError | None:
    return read[1] if isinstance(read, tuple) else read


def _copied(session: Session) -> Session:
    """Everything but the metadata cannot be changed in place."""
    return session.model_copy(update={"metadata": _copied_json(session.metadata)})


def _copied_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied_json(each) for key, each in value.items()}
    return [_copied_json(each) for each in value] if isinstance(value, list) else value
