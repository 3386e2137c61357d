"""Texts of chunks that this process has read or saved last, so that the server need not send them again.

A chunk never changes and its name is never used again, so what is kept here cannot be out of date. Chunks
that are sealed are never kept: a user's key that is erased has to take everything with it.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

#: Of all sessions together, bytes; and what a chunk takes besides its text.
_MOST_BYTES, _BYTES_OF_A_CHUNK = 16_777_216, 200

#: A longer list costs more to go through than it saves, characters.
_LONGEST_LIST = 1_024


class Opened(NamedTuple):
    """Chunks of one checkpoint, in the clear."""

    #: Their list, as the recipe has it, and their texts by name.
    head: str
    texts: Mapping[str, bytes]

    @property
    def size(self) -> int:
        return sum(map(len, self.texts.values())) + _BYTES_OF_A_CHUNK * len(self.texts)


NOTHING_OPENED = Opened("", {})


class ChunkCache:
    """Those of the newest checkpoint that was read or saved of each session, while there is room."""

    def __init__(self) -> None:
        self._by_session: OrderedDict[str, Opened] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def of(self, session_id: str) -> Opened:
        """The chunks of a session that need not be read."""
        with self._lock:
            if session_id in self._by_session:
                self._by_session.move_to_end(session_id)
            return self._by_session.get(session_id, NOTHING_OPENED)

    def keep(self, session_id: str, opened: Opened) -> list[tuple[str, Opened]]:
        """These are all chunks of a checkpoint, and they lie in the clear. What there is no room for."""
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
        """The session is gone."""
        with self._lock:
            self._size -= self._by_session.pop(session_id, NOTHING_OPENED).size
