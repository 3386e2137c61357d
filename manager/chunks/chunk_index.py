"""The chunks that a process knows to be in Redis: those of the checkpoint that it saved or read last."""

import itertools
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent_runtime.manager.after_fork import renew_in_child
from agent_runtime.manager.chunks.chunk_cache import ChunkCache, Opened
from agent_runtime.manager.chunks.recipe import Chunk, Recipe, Stream

#: Most sessions in the index, and most chunks over all of them: some 30 MB.
_MOST_SESSIONS, _MOST_CHUNKS = 10_000, 100_000


class _Known(NamedTuple):
    """The known chunks of one session."""

    stream: Stream
    chunks: Sequence[Chunk]
    #: List of the cached chunks from which `chunks` was made.
    learnt: str = ""


class ChunkIndex:
    """Known chunks by session.

    After a restart, or if other processes save too, the index knows too little. Then more chunks than
    necessary are sent, and stored once more.
    """

    def __init__(self) -> None:
        self._begin()
        # A child that went on with the parent's names would give them to other texts.
        renew_in_child(self._begin)

    def _begin(self) -> None:
        #: Chunks whose text is at hand.
        self.opened = ChunkCache()
        self._by_session: OrderedDict[str, _Known] = OrderedDict()
        self._count = 0
        self._lock = threading.Lock()

    def of(self, session_id: str) -> tuple[Sequence[Chunk], Stream, Mapping[str, bytes]]:
        """Return the known chunks of a session, names for new ones, and the texts at hand by name."""
        opened = self.opened.of(session_id)
        if opened.head not in ("", self._of(session_id).learnt):
            self._learn(session_id, opened)
        known = self._of(session_id)
        return known.chunks, known.stream, opened.texts

    def has_read(self, session_id: str, opened: Opened, *, in_the_clear: bool, since: int) -> None:
        """Note the chunks of a session's newest checkpoint, which was read.

        Cached chunks are not indexed before a save needs them.

        Args:
            since: `opened.now()` from before the read.
        """
        kept_no_longer = [(session_id, opened)]
        if in_the_clear:
            kept_no_longer = self.opened.keep(session_id, opened, since)
        self._learn_dropped(kept_no_longer)

    def has_saved(self, session_id: str, recipe: Recipe, *, in_the_clear: bool, since: int) -> None:
        """Note a recipe that was saved as a session's newest checkpoint.

        Cache its chunks if all texts are at hand.

        Args:
            since: `opened.now()` from before the save.
        """
        texts = {**self.opened.of(session_id).texts, **recipe.fresh}
        if in_the_clear and all(chunk.name in texts for chunk in recipe.chunks):
            self._remember(session_id, recipe.chunks, recipe.head)
            opened = Opened(recipe.head, {chunk.name: texts[chunk.name] for chunk in recipe.chunks})
            self.has_read(session_id, opened, in_the_clear=True, since=since)
        else:
            found = ((chunk, texts.get(chunk.name)) for chunk in recipe.chunks)
            chunks = [chunk if text is None else chunk.hashed(text) for chunk, text in found]
            self._remember(session_id, chunks)

    def has_not_saved(self, session_id: str) -> None:
        """Forget the chunks of a session that is gone, or some of whose known chunks are gone."""
        self._remember(session_id, ())

    def forget_session(self, session_id: str) -> None:
        """Forget the chunks of a session that is gone, or has no checkpoints any more."""
        self.opened.drop_session(session_id)
        if session_id in self._by_session:
            with self._lock:
                known = self._by_session.pop(session_id, None)
                self._count -= len(known.chunks) if known else 0

    def forget_user(self, user_id: str) -> None:
        """Forget the texts of all sessions of a user, and perhaps of others."""
        self._learn_dropped(self.opened.drop_user(user_id))

    def forget_texts(self, session_id: str | None = None) -> None:
        """Forget the texts of a session, or of all, some of whose checkpoints may be gone."""
        dropped = self.opened.drop_all() if session_id is None else self.opened.drop_session(session_id)
        self._learn_dropped(dropped)

    def _learn_dropped(self, dropped: list[tuple[str, Opened]]) -> None:
        """Index chunks by their hashes, so that a session which lives on does not store them again."""
        for session_id, opened in dropped:
            self._learn(session_id, opened, hashed=True)

    def _learn(self, session_id: str, opened: Opened, *, hashed: bool = False) -> None:
        """Index decrypted chunks; with their hash if their text will not be at hand."""
        by_name = {chunk.name: chunk for chunk in self._of(session_id).chunks}
        chunks = [by_name.get(name) or Chunk.of(name, text) for name, text in opened.texts.items()]
        if hashed:
            chunks = [chunk.hashed(opened.texts[chunk.name]) for chunk in chunks]
        self._remember(session_id, chunks, opened.head)

    def _remember(self, session_id: str, chunks: Sequence[Chunk], learnt: str | None = None) -> None:
        """Index the chunks of a session's newest checkpoint, in their order."""
        known = self._of(session_id)
        with self._lock:
            known = self._by_session.get(session_id, known)
            self._keep(session_id, known._replace(chunks=chunks, learnt=learnt or known.learnt))

    def _of(self, session_id: str) -> _Known:
        with self._lock:
            known = self._by_session.get(session_id)
            if known is None:
                known = self._keep(session_id, _Known(Stream(secrets.token_hex(5), itertools.count(1)), ()))
        return known

    def _keep(self, session_id: str, known: _Known) -> _Known:
        before = self._by_session.pop(session_id, None)
        self._by_session[session_id] = known
        self._count += len(known.chunks) - (len(before.chunks) if before else 0)
        while len(self._by_session) > _MOST_SESSIONS or self._count > _MOST_CHUNKS:
            _, oldest = self._by_session.popitem(last=False)
            self._count -= len(oldest.chunks)
        return known
