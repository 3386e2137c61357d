"""A cache of the chunks that this process read or saved last, so that the server need not send them again.

A chunk never changes and its name is never used again, so the cache cannot be out of date. Encrypted chunks
are never cached: once a user's key is erased, nothing that it encrypted may be left in the clear.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from agent_runtime.manager.new_ids import bucket_of_session, bucket_of_user

#: Largest cache, over all sessions, bytes; and bytes that a chunk takes besides its text.
_MOST_BYTES, _BYTES_OF_A_CHUNK = 16_777_216, 200

#: Longest list of chunks that is cached, characters. A longer one costs more to go through than it saves.
_LONGEST_LIST = 1_024


class Opened(NamedTuple):
    """The decrypted chunks of one checkpoint."""

    #: List of the chunks, as in the recipe; and their texts by name.
    head: str
    texts: Mapping[str, bytes]

    @property
    def size(self) -> int:
        """Return what the chunks take in the cache, bytes."""
        return sum(map(len, self.texts.values())) + _BYTES_OF_A_CHUNK * len(self.texts)


NOTHING_OPENED = Opened("", {})


class ChunkCache:
    """Keeps the chunks of the checkpoint read or saved last of each session, while there is room.

    A chunk is dropped with its session or checkpoint. A read or save that began before the removal and ends
    after it must not bring the chunk back, so the cache notes when it dropped what: by bucket, of which there
    are few, rather than by session.
    """

    def __init__(self) -> None:
        self._by_session: OrderedDict[str, Opened] = OrderedDict()
        self._size = 0
        #: Number of removals so far; number of the last removal of all sessions, and of those of each bucket.
        self._removals, self._removed_all_at = 0, 0
        self._removed_at: dict[int, int] = {}
        self._lock = threading.Lock()

    def of(self, session_id: str) -> Opened:
        """Return the cached chunks of a session."""
        with self._lock:
            if session_id in self._by_session:
                self._by_session.move_to_end(session_id)
            return self._by_session.get(session_id, NOTHING_OPENED)

    def now(self) -> int:
        """Return a mark to take before a read or save, and to pass to `keep` after it."""
        return self._removals

    def keep(self, session_id: str, opened: Opened, since: int) -> list[tuple[str, Opened]]:
        """Cache all chunks of a checkpoint that lies in the clear, unless it may have been removed.

        Args:
            since: the mark from before the checkpoint was read or saved.

        Return those dropped for lack of room, by session.
        """
        left_out = [] if len(opened.head) <= _LONGEST_LIST else [(session_id, opened)]
        with self._lock:
            if since < max(self._removed_all_at, self._removed_at.get(bucket_of_session(session_id), 0)):
                return []
            self._size -= self._by_session.pop(session_id, NOTHING_OPENED).size
            if not left_out:
                self._by_session[session_id] = opened
                self._size += opened.size
            while self._size > _MOST_BYTES:
                left_out.append(self._by_session.popitem(last=False))
                self._size -= left_out[-1][1].size
        return left_out

    def drop_session(self, session_id: str) -> list[tuple[str, Opened]]:
        """Drop the chunks of a session, and return them by session."""
        bucket = bucket_of_session(session_id)
        with self._lock:
            self._removals += 1
            self._removed_at[bucket] = self._removals
            return self._pop([session_id]) if session_id in self._by_session else []

    def drop_user(self, user_id: str) -> list[tuple[str, Opened]]:
        """Drop the chunks of all sessions in the bucket of a user, and return them by session."""
        bucket = bucket_of_user(user_id)
        with self._lock:
            self._removals += 1
            self._removed_at[bucket] = self._removals
            return self._pop([name for name in self._by_session if bucket_of_session(name) == bucket])

    def drop_all(self) -> list[tuple[str, Opened]]:
        """Drop all chunks, and return them by session."""
        with self._lock:
            self._removals += 1
            self._removed_all_at = self._removals
            return self._pop([*self._by_session])

    def _pop(self, session_ids: list[str]) -> list[tuple[str, Opened]]:
        dropped = [(session_id, self._by_session.pop(session_id)) for session_id in session_ids]
        self._size -= sum(opened.size for _, opened in dropped)
        return dropped
