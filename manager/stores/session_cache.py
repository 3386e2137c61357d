"""Copies of the sessions that a process read last, dropped when the session changes."""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import redis
import redis.asyncio as aredis

from agent_runtime.manager.after_fork import leave_to_parent, renew_in_child
from agent_runtime.manager.errors import AgentSessionsError
from agent_runtime.manager.keys import Change, Partitions
from agent_runtime.manager.models.sessions import Session
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.stores.local_copies import LocalCopies
from agent_runtime.manager.stores.session_store import Read, SessionReader
from agent_runtime.manager.transport.invalidation import Lease, Tracker

#: Longest a copy is used under a lease, seconds: for changes that no message tells, such as an index that the
#: server evicted or an operator mended by hand.
_LONGEST_USE_SECONDS = 60.0


class _Copy(NamedTuple):
    """A session in memory."""

    now_ms: int
    session: Session
    #: Monotonic moment from which the copy must not be used, seconds.
    stale_at: float
    #: Lease under which the session was read; None if changes were not told, so that the copy counts for a
    #: while only.
    lease: Lease | None


class _Reading(NamedTuple):
    """A read under way."""

    begun_at: float
    lease: Lease | None


class SessionCache:
    """Reads sessions from memory if their copy is known to be right, else from the store.

    Args:
        reader: reads sessions from the store.
        copies: tells the cache what to forget, and is told of revocations by other processes.
        size: most sessions to remember; the one not asked for longest goes first.
        max_staleness: longest that a change made elsewhere may go unnoticed, seconds.
        tracking: True to ask the server for invalidation messages.
    """

    def __init__(
        self,
        conn: redis.Redis | aredis.Redis,
        partitions: Partitions,
        settings: Settings,
        reader: SessionReader,
        copies: LocalCopies,
        *,
        size: int,
        max_staleness: float,
        tracking: bool,
    ) -> None:
        self._conn = conn
        self._partitions = partitions
        self._settings = settings
        self._reader = reader
        self._chunk_index = copies.chunk_index
        copies.listen(self)
        self._size = size
        self._max_staleness = max_staleness
        self._is_tracking = tracking
        # No message tells of an erased key.
        has_user_keys = settings.user_keys_url is not None
        self._longest_use = max_staleness if has_user_keys else _LONGEST_USE_SECONDS
        self._begin()
        renew_in_child(self._renew)

    def _begin(self) -> None:
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        #: Reads under way, the last of each session. A change of a session removes its read, so that a read
        #: begun before the change cannot bring the old state back.
        self._readings: dict[str, _Reading] = {}
        self._lock = threading.Lock()
        self._trackers: dict[asyncio.AbstractEventLoop, tuple[Tracker, asyncio.Task[None]]] = {}

    def _renew(self) -> None:
        leave_to_parent(self._trackers)
        self._begin()

    async def read(self, session_id: str) -> Read:
        """Read one session. Raises as `SessionManager.get_session`."""
        copy = self._find_copy(session_id)
        if copy is not None:
            return copy
        with self._reading([session_id] if isinstance(session_id, str) else []) as begun:
            found = await self._reader.read(session_id)
            self._remember(session_id, found, begun)
        return found

    async def read_many(self, session_ids: list[Any]) -> list[Read | AgentSessionsError]:
        """Read sessions, as many as there are ids. An error of one lies in its place."""
        copies = [self._find_copy(name) for name in session_ids]
        missing = [name for name, copy in zip(session_ids, copies, strict=True) if copy is None]
        if not missing:
            return [*copies]
        with self._reading([name for name in missing if isinstance(name, str)]) as begun:
            reads = await self._reader.read_many(missing)
            for name, read in zip(missing, reads, strict=True):
                self._remember(name, read, begun)
        found = iter(reads)
        return [copy or next(found) for copy in copies]

    def is_tracking_active(self) -> bool:
        """Return True if the server tells the running event loop of changes."""
        listening = self._trackers.get(asyncio.get_running_loop())
        lease = listening[0].lease if listening else None
        return lease is not None and time.monotonic() < lease.valid_until

    async def aclose(self) -> None:
        """Close the running event loop's connection for messages, and drop what was read under its lease."""
        with self._lock:
            _, listening = self._trackers.pop(asyncio.get_running_loop(), (None, None))
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])

    def session_changed(self, session_id: str) -> None:
        """Drop the copy of a session, and do not remember a read of it that is under way."""
        with self._lock:
            self._readings.pop(session_id, None)
            self._copies.pop(session_id, None)

    def sessions_revoked(self, user_id: str | None, agent_id: str | None) -> None:
        """Drop the copies of all sessions of a user or an agent."""
        if user_id is not None:
            self._drop_copies_of("user_id", user_id)
        if agent_id is not None:
            # A copy's user is the session's for ever; its agent may have changed elsewhere since it was made.
            self._drop_all()

    def _find_copy(self, session_id: Any) -> Read:
        now = time.monotonic()
        with self._lock:
            copy = self._copies.get(session_id) if isinstance(session_id, str) else None
            if copy is None or copy.stale_at <= now:
                return None
            if copy.lease is not None and copy.lease.valid_until <= now:
                return None
            self._copies.move_to_end(session_id)
        return copy.now_ms, _copied(copy.session)

    @contextmanager
    def _reading(self, session_ids: list[str]) -> Iterator[_Reading]:
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

    def _remember(self, session_id: str, read: Read | AgentSessionsError, reading: _Reading) -> None:
        if isinstance(read, AgentSessionsError):
            return
        if read is None:
            with self._lock:
                self._copies.pop(session_id, None)
            return
        now_ms, session = read
        life = session.expires_at.timestamp() - (now_ms + 1) / 1000  # the server's time, rounded down
        longest = self._max_staleness if reading.lease is None else self._longest_use
        copy = _Copy(now_ms, _copied(session), reading.begun_at + min(life, longest), reading.lease)
        with self._lock:
            if self._readings.get(session_id) is not reading:
                return
            self._copies[session_id] = copy
            self._copies.move_to_end(session_id)
            if len(self._copies) > self._size:
                self._copies.popitem(last=False)

    def _current_lease(self) -> Lease | None:
        """Return the lease of the running event loop's connection, which is made if there is none."""
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
                timeout_seconds=self._settings.call_timeout_seconds,
            )
            found = tracker, loop.create_task(tracker.run())
            with self._lock:
                for closed in [other for other in self._trackers if other.is_closed()]:
                    del self._trackers[closed]
                self._trackers[loop] = found
        return found[0].lease

    def _on_changed(self, key: bytes | None) -> None:
        """Take an invalidation message: one key, or None for all."""
        if key is None:
            self._drop_all()
            return
        change, name = self._partitions.change_told_by(key)
        if change is Change.SESSION:
            self.session_changed(name)
        elif change is Change.USER_REVOKED:
            self._drop_copies_of("user_id", name)
            self._chunk_index.forget_user(name)
        elif change is Change.AGENT_REVOKED:
            self._drop_copies_of("agent_id", name)
            self._chunk_index.forget_texts()

    def _drop_all(self) -> None:
        with self._lock:
            self._readings.clear()
            self._copies.clear()

    def _drop_copies_of(self, field: str, owner: str) -> None:
        with self._lock:
            self._readings.clear()  # their owners are not known yet
            void = [name for name, copy in self._copies.items() if getattr(copy.session, field) == owner]
            for session_id in void:
                del self._copies[session_id]


def _copied(session: Session) -> Session:
    """Copy a session, so that a caller who changes one changes nothing here.

    Everything but the metadata cannot be changed in place.
    """
    return session.model_copy(update={"metadata": _copied_json(session.metadata)})


def _copied_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied_json(each) for key, each in value.items()}
    return [_copied_json(each) for each in value] if isinstance(value, list) else value
