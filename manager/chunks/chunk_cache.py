"""A cache of the chunks that this process read or saved last, so that the server need not send them again.

A chunk never changes and its name is never used again, so the cache cannot be out of date. Encrypted chunks
are never cached: once a user's key is erased, nothing that it encrypted may be left in the clear.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

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
    """Keeps the chunks of the checkpoint read or saved last of each session, while there is room."""

    def __init__(self) -> None:
        self._by_session: OrderedDict[str, Opened] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def of(self, session_id: str) -> Opened:
        """Return the cached chunks of a session."""
        with self._lock:
            if session_id in self._by_session:
                self._by_session.move_to_end(session_id)
            return self._by_session.get(session_id, NOTHING_OPENED)

    def keep(self, session_id: str, opened: Opened) -> list[tuple[str, Opened]]:
        """Cache all chunks of a checkpoint that lies in the clear.

        Return those dropped for lack of room, by session.
        """
        left_out = [] if len(opened.head) <= _LONGEST_LIST else [(session_id, opened)]
        with self._lock:
            self._size -= self._by_session.pop(session_id, NOTHING_OPENED).size
            if not left_out:
                self._by_session[session_id] = opened
                self._size += opened.size
            while self._size > _MOST_BYTES:
                left_out.append(self._by_session.popitem(last=False))
                self._size -= left_out[-1][1].size
        return left_out

    def forget(self, session_id: str) -> None:
        """Drop the chunks of a session."""
        with self._lock:
            self._size -= self._by_session.pop(session_id, NOTHING_OPENED).size
