"""Cuts the JSON of a checkpoint into chunks, known ones and new ones (see recipe.py)."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

from agent_runtime.manager.chunks.recipe import (
    GAP,
    LONGEST_RECIPE,
    MOST_CHUNKS,
    Chunk,
    Recipe,
    Stream,
    digest_of,
    ranges_of,
)
from agent_runtime.manager.json_text import as_json, quick_json

#: Shortest list or value that becomes chunks, bytes. A shorter one stays in the recipe.
_SHORTEST_RUN = 512
#: A chunk ends after so many bytes; after more if much is new side by side, so that it becomes about so many
#: chunks. To compress, count and read a chunk costs as much as several kilobytes of text.
_CHUNK_BYTES, _CHUNKS_AT_ONCE = 1_024, 16
#: Levels of nested dicts within which lists are cut.
_LEVELS = 3
#: Most bytes that are compared at once. More would not fit into the processor's cache.
_ROW_BYTES = 65_536
#: Bytes that may follow a value within JSON.
_ENDS = (b",", b"]", b"}")

NO_TEXTS: Mapping[str, bytes] = {}


def cut(
    data: dict[str, Any],
    plain: bytes,
    known: Sequence[Chunk],
    stream: Stream,
    texts: Mapping[str, bytes] = NO_TEXTS,
) -> Recipe | None:
    """Return the recipe of a checkpoint; None if nothing in it is long, or its recipe would be too long.

    Args:
        plain: `data` as JSON.
        known: the chunks of an earlier checkpoint, in their order.
        stream: names for new chunks.
        texts: texts of some known chunks, by name. Those are recognized by their text, the others by their
            hash.
    """
    for chunks in (known, ()):
        cutter = _Cutter(plain, chunks, stream, texts)
        if not (cutter.walk(data, _LEVELS) and cutter.places) or len(cutter.literal) > LONGEST_RECIPE // 2:
            return None
        if len(cutter.chunks) <= MOST_CHUNKS:
            head = ";".join(map(ranges_of, cutter.places))
            if len(head) <= LONGEST_RECIPE // 4:
                return Recipe(head, bytes(cutter.literal), cutter.chunks, cutter.fresh)
    return None


class _Cutter:
    """One pass over the JSON of a checkpoint."""

    def __init__(
        self, plain: bytes, known: Sequence[Chunk], stream: Stream, texts: Mapping[str, bytes]
    ) -> None:
        self.literal = bytearray()
        self.places: list[list[str]] = []
        self.chunks: list[Chunk] = []
        self.fresh: dict[str, bytes] = {}
        self._plain = plain
        self._at = 0
        self._stream, self._texts = stream, texts
        self._known, self._expected = known, 0

    def walk(self, value: Any, levels: int) -> bool:
        """Go over one value. Return False if the JSON is not spelt as expected."""
        if isinstance(value, dict) and value and levels:
            return self._walk_dict(value, levels)
        if value is None or isinstance(value, int | float):
            return self._keep(as_json(value))
        if isinstance(value, list) and len(value) > 1 and isinstance(value[0], dict | list | str):
            return self._keep(b"[") and self._cut_run(value) and self._keep(b"]")
        return self._cut_run([value])

    def _walk_dict(self, value: dict[str, Any], levels: int) -> bool:
        for number, (key, each) in enumerate(value.items()):
            before = (b"," if number else b"{") + as_json(key) + b":"
            if not (self._keep(before) and self.walk(each, levels - 1)):
                return False
        return self._keep(b"}")

    def _keep(self, text: bytes) -> bool:
        """Leave this text in the recipe. Return False if it does not come next."""
        found = self._plain.startswith(text, self._at)
        self.literal += text
        self._at += len(text)
        return found

    def _cut_run(self, items: list[Any]) -> bool:
        """Cut some items into chunks, known ones and new, unless they are short. Return False as `walk`."""
        start = self._at
        run = self._known_and_new(items) if self._known else self._all_new(items)
        if run is None:
            return False
        if self._at - start < _SHORTEST_RUN:
            self.literal += self._plain[start : self._at]
        else:
            self._put(run)
        return True

    def _all_new(self, items: list[Any]) -> list[Chunk | list[bytes]] | None:
        texts = self._next_texts(items)
        if texts is None:
            return None
        self._at += sum(map(len, texts)) + len(texts) - 1
        return [texts]

    def _known_and_new(self, items: list[Any]) -> list[Chunk | list[bytes]] | None:
        """Return known chunks and stretches of new items, in order; None if the items do not come next."""
        run: list[Chunk | list[bytes]] = []
        place, in_a_row = 0, True
        while place < len(items):
            self._at += 1 if place else 0  # a comma
            left, texts = len(items) - place, [b""]
            row = self._known_in_a_row(left) if in_a_row else []
            chunk = None if row else self._known_here(self._expected, left)
            if not row and chunk is None:
                found = self._next_texts(items[place : place + 1])
                if found is None:
                    return None
                texts = found
                chunk = self._known_that_begins_with(texts[0], left)
                in_a_row = chunk is not None
            elif chunk is not None:
                in_a_row = False  # a row does not come next as a whole: go on chunk by chunk
            row = [chunk] if chunk else row
            if row:
                run += row
            elif run and isinstance(run[-1], list):
                run[-1] += texts
            else:
                run.append(texts)
            place += sum(each.items for each in row) or 1
            self._at += (sum(each.size for each in row) + len(row) - 1) if row else len(texts[0])
        return run

    def _known_in_a_row(self, left: int) -> list[Chunk]:
        """Return the known chunks after the last one found, if a whole row of them comes next."""
        row: list[Chunk] = []
        texts: list[bytes] = []
        size = 0
        for place in range(self._expected, len(self._known)):
            chunk = self._known[place]
            left -= chunk.items
            size += chunk.size
            if left < 0 or size > _ROW_BYTES or chunk.name not in self._texts:
                break
            row.append(chunk)
            texts.append(self._texts[chunk.name])
        if not row or not self._is_next(GAP.join(texts).replace(GAP, b",")):
            return []
        self._expected += len(row)
        return row

    def _known_that_begins_with(self, text: bytes, left: int) -> Chunk | None:
        """Return the known chunk with this first item that comes next, or None."""
        if hash(text) not in self._firsts:
            return None
        candidates = (self._known_here(each, left) for each in self._by_first[hash(text)])
        return next(filter(None, candidates), None)

    @cached_property
    def _firsts(self) -> set[int]:
        return {chunk.first for chunk in self._known}

    @cached_property
    def _by_first(self) -> dict[int, list[int]]:
        """Return places of known chunks by the hash of their first item."""
        places: dict[int, list[int]] = {}
        for place, chunk in enumerate(self._known):
            places.setdefault(chunk.first, []).append(place)
        return places

    def _is_next(self, text: bytes) -> bool:
        """Return True if this JSON comes next, as a whole value: 12 does not come next in 123."""
        end = self._at + len(text)
        return self._plain.startswith(text, self._at) and self._plain[end : end + 1] in _ENDS

    def _next_texts(self, items: list[Any]) -> list[bytes] | None:
        """Return the JSON of these items, or None if they do not come next."""
        for encode in (quick_json, lambda items: list(map(as_json, items))):
            texts = encode(items)
            if texts and self._is_next(b",".join(texts)):
                return texts
        return None

    def _known_here(self, place: int, left: int) -> Chunk | None:
        """Return the known chunk at this place if it comes next.

        Most often it is the one after the last found.
        """
        if place >= len(self._known):
            return None
        chunk = self._known[place]
        end = self._at + chunk.size
        text = self._texts.get(chunk.name)
        if chunk.items > left or self._plain[end : end + 1] not in _ENDS:
            return None
        if text is not None:
            is_next = self._is_next(text.replace(GAP, b","))
        else:
            is_next = bool(chunk.digest) and digest_of(self._plain[self._at : end]) == chunk.digest
        if not is_next:
            return None
        self._expected = place + 1
        return chunk

    def _put(self, run: list[Chunk | list[bytes]]) -> None:
        """Put the chunks of a run into the recipe, and make chunks of its new items."""
        chunks: list[Chunk] = []
        for each in run:
            if isinstance(each, Chunk):
                chunks.append(each)
            else:
                chunks += map(self._new_chunk, _portions(each))
        self.literal += GAP
        self.chunks += chunks
        self.places.append([chunk.name for chunk in chunks])

    def _new_chunk(self, texts: list[bytes]) -> Chunk:
        name, stored = self._stream.next_name(), GAP.join(texts)
        self.fresh[name] = stored
        return Chunk(name, len(texts), len(stored), hash(texts[0]))


def _portions(texts: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the items of each chunk to make of items that are new side by side."""
    sizes = list(accumulate(map(len, texts)))
    most = max(_CHUNK_BYTES, sizes[-1] // _CHUNKS_AT_ONCE)
    begin, size = 0, 0
    while begin < len(texts):
        end = bisect_left(sizes, size + most) + 1
        yield texts[begin:end]
        begin, size = end, sizes[min(end, len(sizes)) - 1]
