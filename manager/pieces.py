"""What the checkpoints of one session share, cut into pieces that are stored once.

The JSON of a checkpoint is cut at what is long in it: a list, or one value. What is new of that since the
last checkpoint becomes *pieces*, some items each, kept beside the checkpoints of the session for as long as
one of them needs it. The checkpoint itself becomes a *recipe*: which pieces, and the rest of its JSON around
them. It names whole pieces only, so what no checkpoint holds any more is gone.

A piece is named ``<stream>:<number>``. A stream belongs to one process and session, and its numbers rise and
are never used again: a name never means anything else, whatever was deleted meanwhile, or lost by a server.
In a recipe, successive numbers are a range, and ``;`` parts the places: ``0af1c3d2e4:1-49;77b01c92aa:3``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from manager.checks import LARGEST_CHECKPOINT
from manager.json_text import as_json

#: The first byte of a stored recipe (see codec.py).
RECIPE = b"p"

#: Stands in a recipe's JSON where pieces go, and between the items of a piece. UTF-8 has no such byte.
GAP = b"\xff"

#: Most pieces of one checkpoint, and longest recipe (bytes as stored): as in `lua/shared/pieces.lua`.
MOST_PIECES, LONGEST_RECIPE = 1_000, 16_384

#: What is shorter stays where it is, bytes.
_SHORTEST_RUN = 512
#: A piece ends after so many bytes; after more where there is much, so that it becomes about so many pieces.
_PIECE_BYTES, _PIECES_AT_ONCE = 1_024, 64
#: Levels of dicts within which lists are cut.
_LEVELS = 3

NO_TEXTS: Mapping[str, bytes] = {}

_RANGE = re.compile(r"([0-9a-f]{10}):([1-9][0-9]{0,14})(?:-([1-9][0-9]{0,14}))?")


class Piece(NamedTuple):
    """What a process knows of a piece: enough to find it again in another checkpoint."""

    name: str
    #: How many items, and bytes of them with commas between.
    items: int
    size: int
    digest: bytes
    #: Hash of the first item.
    first: int

    @classmethod
    def of(cls, name: str, stored: bytes) -> "Piece":
        """The piece that holds these items, a `GAP` between each two."""
        first = stored.partition(GAP)[0]
        text = stored.replace(GAP, b",")
        return cls(name, stored.count(GAP) + 1, len(text), _digest(text), hash(first))


class Stream(NamedTuple):
    """Where a process takes names for new pieces of one session from."""

    stream: str
    numbers: Iterator[int]

    def next_name(self) -> str:
        return f"{self.stream}:{next(self.numbers)}"


class Recipe(NamedTuple):
    """A checkpoint as pieces."""

    head: str
    #: JSON with a `GAP` at each place of pieces.
    literal: bytes
    #: All its pieces in their order, and the items of those that are new.
    pieces: list[Piece]
    fresh: dict[str, bytes]


def cut(
    data: dict[str, Any],
    plain: bytes,
    known: Sequence[Piece],
    stream: Stream,
    texts: Mapping[str, bytes] = NO_TEXTS,
) -> Recipe | None:
    """The recipe of a checkpoint; None where it has nothing long, or the recipe would be too long.

    Args:
        plain: `data` as JSON.
        known: the pieces of an earlier checkpoint, in their order.
        stream: names for new pieces.
        texts: of some known pieces, which are told by them instead of by their hash.
    """
    for pieces in (known, ()):
        cutter = _Cutter(plain, pieces, stream, texts)
        if not (cutter.walk(data, _LEVELS) and cutter.places) or len(cutter.literal) > LONGEST_RECIPE // 2:
            return None
        if len(cutter.pieces) <= MOST_PIECES:
            head = ";".join(map(_ranges, cutter.places))
            if len(head) <= LONGEST_RECIPE // 4:
                return Recipe(head, bytes(cutter.literal), cutter.pieces, cutter.fresh)
    return None


def head_of(stored: bytes) -> str:
    """The list of its pieces in a stored recipe. Raises `ValueError` where it is no text."""
    return stored[len(RECIPE) :].partition(b"\n")[0].decode("ascii")


def names_of(head: str) -> list[list[str]]:
    """Names of the pieces at each place of a recipe. Raises `ValueError` where that cannot be read."""
    places, total = [], 0
    for place in head.split(";"):
        names: list[str] = []
        for text in place.split(","):
            found = _RANGE.fullmatch(text)
            if found is None:
                raise ValueError("the list of its pieces cannot be read")
            first, last = int(found[2]), int(found[3] or found[2])
            total += max(1, last - first + 1)
            if last < first or total > MOST_PIECES:
                raise ValueError("the list of its pieces cannot be read")
            names += [f"{found[1]}:{number}" for number in range(first, last + 1)]
        places.append(names)
    return places


def joined(head: str, literal: bytes, pieces: dict[str, bytes]) -> bytes:
    """The JSON of a checkpoint. Raises `ValueError` where a piece is missing, or their places do not fit."""
    places = names_of(head)
    around = literal.split(GAP)
    if len(around) != len(places) + 1:
        raise ValueError("it has not as many places for pieces as its list names")
    missing = next((name for names in places for name in names if name not in pieces), None)
    if missing is not None:
        raise ValueError(f"its piece {missing} is gone")
    if sum(len(pieces[name]) for names in places for name in names) > LARGEST_CHECKPOINT:
        raise ValueError(f"its pieces are more than {LARGEST_CHECKPOINT} bytes")
    parts = [around[0]]
    for names, text in zip(places, around[1:], strict=True):
        parts += (GAP.join([pieces[name] for name in names]), text)
    return b"".join(parts).replace(GAP, b",")


def _digest(text: bytes) -> bytes:
    return blake2b(text, digest_size=16).digest()


def _ranges(names: list[str]) -> str:
    found: list[tuple[str, int, int]] = []
    for name in names:
        stream, _, text = name.partition(":")
        number = int(text)
        if found and found[-1][0] == stream and found[-1][2] == number - 1:
            found[-1] = (stream, found[-1][1], number)
        else:
            found.append((stream, number, number))
    return ",".join(f"{stream}:{a}" if a == b else f"{stream}:{a}-{b}" for stream, a, b in found)


class _Cutter:
    """One way through the JSON of a checkpoint."""

    def __init__(
        self, plain: bytes, known: Sequence[Piece], stream: Stream, texts: Mapping[str, bytes]
    ) -> None:
        self.literal = bytearray()
        self.places: list[list[str]] = []
        self.pieces: list[Piece] = []
        self.fresh: dict[str, bytes] = {}
        self._plain = plain
        self._at = 0
        self._stream, self._texts = stream, texts
        self._piece_bytes = max(_PIECE_BYTES, len(plain) // _PIECES_AT_ONCE)
        self._known, self._expected = known, 0
        self._by_first: dict[int, list[int]] = {}
        for place, piece in enumerate(known):
            self._by_first.setdefault(piece.first, []).append(place)

    def walk(self, value: Any, levels: int) -> bool:
        """Goes over one value; False where the JSON is not what was expected."""
        if isinstance(value, dict) and value and levels:
            return self._walk_dict(value, levels)
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
        """Leaves this where it is."""
        found = self._plain.startswith(text, self._at)
        self.literal += text
        self._at += len(text)
        return found

    def _cut_run(self, items: list[Any]) -> bool:
        """Cuts some items into pieces, known ones and new, unless they are short."""
        start, place = self._at, 0
        run: list[Piece | list[bytes]] = []
        while place < len(items):
            self._at += 1 if place else 0  # a comma
            left, text = len(items) - place, b""
            piece = self._known_here(self._expected, left)
            if piece is None:
                text = as_json(items[place])
                if not self._plain.startswith(text, self._at):
                    return False
                candidates = (self._known_here(each, left) for each in self._by_first.get(hash(text), ()))
                piece = next(filter(None, candidates), None)
            if piece is None:
                self._add_fresh(run, text)
            else:
                run.append(piece)
            place += piece.items if piece else 1
            self._at += piece.size if piece else len(text)
        if self._at - start < _SHORTEST_RUN:
            self.literal += self._plain[start : self._at]
        else:
            self._put(run)
        return True

    def _known_here(self, place: int, left: int) -> Piece | None:
        """A known piece, if it is what comes next. Most often it is the one behind the last."""
        if place >= len(self._known):
            return None
        piece = self._known[place]
        end = self._at + piece.size
        # What follows is looked at too: 12 is not the beginning of 123.
        if piece.items > left or self._plain[end : end + 1] not in (b",", b"]", b"}"):
            return None
        text = self._texts.get(piece.name)
        if text is None:
            is_next = _digest(self._plain[self._at : end]) == piece.digest
        else:
            is_next = self._plain.startswith(text.replace(GAP, b","), self._at)
        if not is_next:
            return None
        self._expected = place + 1
        return piece

    def _add_fresh(self, run: list[Piece | list[bytes]], text: bytes) -> None:
        last = run[-1] if run else None
        if isinstance(last, list) and sum(map(len, last)) < self._piece_bytes:
            last.append(text)
        else:
            run.append([text])

    def _put(self, run: list[Piece | list[bytes]]) -> None:
        pieces = []
        for each in run:
            if isinstance(each, Piece):
                pieces.append(each)
            else:
                name, stored = self._stream.next_name(), GAP.join(each)
                self.fresh[name] = stored
                pieces.append(Piece.of(name, stored))
        self.literal += GAP
        self.pieces += pieces
        self.places.append([piece.name for piece in pieces])
