"""What a process knows of the pieces in Redis: those of the checkpoint that it saved or read last."""

import itertools
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent_runtime.manager.chunks.chunk_cache import Opened, OpenedPieces
from agent_runtime.manager.chunks.recipe import Piece, Recipe, Stream

#: Sessions, and pieces of all of them together, of which a process remembers what it knows: some 30 MB.
_MOST_SESSIONS, _MOST_PIECES = 10_000, 100_000


class _Known(NamedTuple):
    stream: Stream
    pieces: Sequence[Piece]
    #: List of the opened pieces that it has been made of.
    learnt: str = ""


class KnownPieces:
    """Knows too little after a restart, or where others save: then more is sent, and stored once more."""

    def __init__(self) -> None:
        #: And those whose text it has.
        self.opened = OpenedPieces()
        self._by_session: OrderedDict[str, _Known] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def of(self, session_id: str) -> tuple[Sequence[Piece], Stream, Mapping[str, bytes]]:
        """The known pieces of a session, names for new ones, and texts of those that are at hand."""
        opened = self.opened.of(session_id)
        if opened.head not in ("", self._of(session_id).learnt):
            self._learn(session_id, opened)
        known = self._of(session_id)
        return known.pieces, known.stream, opened.texts

    def has_read(self, session_id: str, opened: Opened, *, in_the_clear: bool) -> None:
        """The newest checkpoint was read, of these pieces. What is kept is looked at when it is needed."""
        kept_no_longer = self.opened.keep(session_id, opened) if in_the_clear else [(session_id, opened)]
        for each, its_pieces in kept_no_longer:
            self._learn(each, its_pieces, hashed=True)

    def has_saved(self, session_id: str, recipe: Recipe, *, in_the_clear: bool) -> None:
        """A checkpoint was saved, the session's newest. Where all its texts are at hand, they are kept."""
        texts = {**self.opened.of(session_id).texts, **recipe.fresh}
        if in_the_clear and all(piece.name in texts for piece in recipe.pieces):
            self._remember(session_id, recipe.pieces, recipe.head)
            opened = Opened(recipe.head, {piece.name: texts[piece.name] for piece in recipe.pieces})
            self.has_read(session_id, opened, in_the_clear=True)
        else:
            found = ((piece, texts.get(piece.name)) for piece in recipe.pieces)
            pieces = [piece if text is None else piece.hashed(text) for piece, text in found]
            self._remember(session_id, pieces)

    def has_not_saved(self, session_id: str) -> None:
        """The session is gone, or pieces that were known are: none is known any more."""
        self._remember(session_id, ())

    def _learn(self, session_id: str, opened: Opened, *, hashed: bool = False) -> None:
        by_name = {piece.name: piece for piece in self._of(session_id).pieces}
        pieces = [by_name.get(name) or Piece.of(name, text) for name, text in opened.texts.items()]
        if hashed:
            pieces = [piece.hashed(opened.texts[piece.name]) for piece in pieces]
        self._remember(session_id, pieces, opened.head)

    def _remember(self, session_id: str, pieces: Sequence[Piece], learnt: str | None = None) -> None:
        """These are in Redis, in the order of the session's newest checkpoint."""
        known = self._of(session_id)
        with self._lock:
            known = self._by_session.get(session_id, known)
            self._keep(session_id, known._replace(pieces=pieces, learnt=learnt or known.learnt))

    def _of(self, session_id: str) -> _Known:
        with self._lock:
            known = self._by_session.get(session_id)
            if known is None:
                known = self._keep(session_id, _Known(Stream(secrets.token_hex(5), itertools.count(1)), ()))
        return known

    def _keep(self, session_id: str, known: _Known) -> _Known:
        before = self._by_session.pop(session_id, None)
        self._by_session[session_id] = known
        self._count += len(known.pieces) - (len(before.pieces) if before else 0)
        while len(self._by_session) > _MOST_SESSIONS or self._count > _MOST_PIECES:
            _, oldest = self._by_session.popitem(last=False)
            self._count -= len(oldest.pieces)
        return known
