"""What the checkpoints of one session share, cut into chunks that are stored once.

The JSON of a checkpoint is cut at what is long in it: a list, or one value. What is new of that since the
last checkpoint becomes *chunks*, some items each, kept beside the checkpoints of the session for as long as
one of them needs it. The checkpoint itself becomes a *recipe*: which chunks, and the rest of its JSON around
them. It names whole chunks only, so what no checkpoint holds any more is gone.

A chunk is named ``<stream>:<number>``. A stream belongs to one process and session, and its numbers rise and
are never used again: a name never means anything else, whatever was deleted meanwhile, or lost by a server.
In a recipe, successive numbers are a range, and ``;`` parts the places: ``0af1c3d2e4:1-49;77b01c92aa:3``.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from agent_runtime.manager.validation import LARGEST_CHECKPOINT

#: The first byte of a stored recipe (see codec.py).
RECIPE = b"p"

#: Stands in a recipe's JSON where chunks go, and between the items of a chunk. UTF-8 has no such byte.
GAP = b"\xff"

#: Most chunks of one checkpoint, and longest recipe (bytes as stored): as in `lua/shared/chunks.lua`.
MOST_CHUNKS, LONGEST_RECIPE = 1_000, 16_384

_RANGE = re.compile(r"([0-9a-f]{10}):([1-9][0-9]{0,14})(?:-([1-9][0-9]{0,14}))?")


class Chunk(NamedTuple):
    """What a process knows of a chunk: enough to find it again in another checkpoint."""

    name: str
    #: How many items, and bytes of them with commas between.
    items: int
    size: int
    #: Hash of the first item.
    first: int
    #: Of all items; none while their text is at hand. What has neither is not found again.
    digest: bytes = b""

    @classmethod
    def of(cls, name: str, stored: bytes) -> "Chunk":
        """The chunk that holds these items, a `GAP` between each two."""
        return cls(name, stored.count(GAP) + 1, len(stored), hash(stored.partition(GAP)[0]))

    def hashed(self, stored: bytes) -> "Chunk":
        """The same, to be found again without its text."""
        return self if self.digest else self._replace(digest=digest_of(stored.replace(GAP, b",")))


class Stream(NamedTuple):
    """Where a process takes names for new chunks of one session from."""

    stream: str
    numbers: Iterator[int]

    def next_name(self) -> str:
        return f"{self.stream}:{next(self.numbers)}"


class Recipe(NamedTuple):
    """A checkpoint as chunks."""

    head: str
    #: JSON with a `GAP` at each place of chunks.
    literal: bytes
    #: All its chunks in their order, and the items of those that are new.
    chunks: list[Chunk]
    fresh: dict[str, bytes]


def head_of(stored: bytes) -> str:
    """The list of its chunks in a stored recipe. Raises `ValueError` where it is no text."""
    return stored[len(RECIPE) :].partition(b"\n")[0].decode("ascii")


def ranges_of(names: list[str]) -> str:
    """The names at one place as a recipe lists them."""
    found: list[tuple[str, int, int]] = []
    for name in names:
        stream, _, text = name.partition(":")
        number = int(text)
        if found and found[-1][0] == stream and found[-1][2] == number - 1:
            found[-1] = (stream, found[-1][1], number)
        else:
            found.append((stream, number, number))
    return ",".join(f"{stream}:{a}" if a == b else f"{stream}:{a}-{b}" for stream, a, b in found)


def names_of(head: str) -> list[list[str]]:
    """Names of the chunks at each place of a recipe. Raises `ValueError` where that cannot be read."""
    places, total = [], 0
    for place in head.split(";"):
        names: list[str] = []
        for text in place.split(","):
            found = _RANGE.fullmatch(text)
            if found is None:
                raise ValueError("the list of its chunks cannot be read")
            first, last = int(found[2]), int(found[3] or found[2])
            total += max(1, last - first + 1)
            if last < first or total > MOST_CHUNKS:
                raise ValueError("the list of its chunks cannot be read")
            names += [f"{found[1]}:{number}" for number in range(first, last + 1)]
        places.append(names)
    return places


def joined(head: str, literal: bytes, chunks: dict[str, bytes]) -> bytes:
    """The JSON of a checkpoint. Raises `ValueError` where a chunk is missing, or their places do not fit."""
    places = names_of(head)
    around = literal.split(GAP)
    if len(around) != len(places) + 1:
        raise ValueError("it has not as many places for chunks as its list names")
    missing = next((name for names in places for name in names if name not in chunks), None)
    if missing is not None:
        raise ValueError(f"its chunk {missing} is gone")
    if sum(len(chunks[name]) for names in places for name in names) > LARGEST_CHECKPOINT:
        raise ValueError(f"its chunks are more than {LARGEST_CHECKPOINT} bytes")
    parts = [around[0]]
    for names, text in zip(places, around[1:], strict=True):
        parts += (GAP.join([chunks[name] for name in names]), text)
    return b"".join(parts).replace(GAP, b",")


def digest_of(text: bytes) -> bytes:
    return blake2b(text, digest_size=16).digest()
