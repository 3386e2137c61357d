"""What a process knows of the pieces in Redis: those of the checkpoint that it saved or read last."""

import itertools
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from manager.opened_pieces import OpenedPieces
from manager.pieces import Piece, Stream

#: Sessions, and pieces of all of them together, of which a process remembers what it knows: some 30 MB.
_MOST_SESSIONS, _MOST_PIECES = 10_000, 100_000


class _Known(NamedTuple):
    stream: Stream
    pieces: Sequence[Piece]


class KnownPieces:
    """Knows too little after a restart, or where others save: then more is sent, and stored once more."""

    def __init__(self) -> None:
        #: And those whose text it has.
        self.opened = OpenedPieces()
        self._by_session: OrderedDict[str, _Known] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def of(self, session_id: str) -> tuple[Sequence[Piece], Stream]:
        """The known pieces of a session, and names for new ones."""
        with self._lock:
            known = self._by_session.get(session_id)
            if known is None:
                known = self._keep(session_id, _Known(Stream(secrets.token_hex(5), itertools.count(1)), ()))
        return known.pieces, known.stream

    def remember(self, session_id: str, pieces: Sequence[Piece]) -> None:
        """These are in Redis, in the order of the session's newest checkpoint."""
        self.of(session_id)
        with self._lock:
            known = self._by_session.get(session_id)
            if known is not None:
                self._keep(session_id, known._replace(pieces=pieces))

    def learn(self, session_id: str, stored: Mapping[str, bytes]) -> None:
        """A checkpoint of these pieces was read."""
        by_name = {piece.name: piece for piece in self.of(session_id)[0]}
        self.remember(
            session_id, [by_name.get(name) or Piece.of(name, text) for name, text in stored.items()]
        )

    def _keep(self, session_id: str, known: _Known) -> _Known:
        before = self._by_session.pop(session_id, None)
        self._by_session[session_id] = known
        self._count += len(known.pieces) - (len(before.pieces) if before else 0)
        while len(self._by_session) > _MOST_SESSIONS or self._count > _MOST_PIECES:
            _, oldest = self._by_session.popitem(last=False)
            self._count -= len(oldest.pieces)
        return known
