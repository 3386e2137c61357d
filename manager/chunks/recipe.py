"""Recipes: checkpoints whose long parts are chunks, which a session stores once for all its checkpoints.

The JSON of a checkpoint is cut at its long lists and values. The items that are new since the last checkpoint
become *chunks* of some items each. A chunk is stored beside the checkpoints of its session for as long as one
of them needs it. The checkpoint itself becomes a *recipe*: the list of its chunks, and the rest of its JSON.
A recipe names whole chunks only, so text that no checkpoint holds any more is gone.

A chunk is named ``<stream>:<number>``. A stream belongs to one process and session. Its numbers rise and are
never used again, so a name never gets a second meaning, whatever is deleted, or lost by a server. In the list
of a recipe, successive numbers are a range, and ``;`` separates the places: ``0af1c3d2e4:1-49;77b01c92aa:3``.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b
from typing import NamedTuple

from agent_runtime.manager.validation import LARGEST_CHECKPOINT

#: The first byte of a stored recipe (see codec.py).
RECIPE = b"p"

#: Marks the places of chunks in a recipe's JSON, and separates the items of a chunk. UTF-8 has no such byte.
GAP = b"\xff"

#: Most chunks of one checkpoint, and longest recipe (bytes as stored); the same as in `lua/lib/chunks.lua`.
MOST_CHUNKS, LONGEST_RECIPE = 1_000, 16_384

_RANGE = re.compile(r"([0-9a-f]{10}):([1-9][0-9]{0,14})(?:-([1-9][0-9]{0,14}))?")


class Chunk(NamedTuple):
    """A known chunk: enough to find it again in another checkpoint."""

    name: str
    #: Number of items, and their bytes with commas between them.
    items: int
    size: int
    #: Hash of the first item.
    first: int
    #: Digest of all items; empty while their text is at hand. A chunk with neither is not found again.
    digest: bytes = b""

    @classmethod
    def of(cls, name: str, stored: bytes) -> "Chunk":
        """Return the chunk with these items, which a `GAP` separates."""
        return cls(name, stored.count(GAP) + 1, len(stored), hash(stored.partition(GAP)[0]))

    def hashed(self, stored: bytes) -> "Chunk":
        """Return the chunk with its digest, so that it is found again without its text."""
        return self if self.digest else self._replace(digest=digest_of(stored.replace(GAP, b",")))


class Stream(NamedTuple):
    """Names for the new chunks that one process makes of one session."""

    stream: str
    numbers: Iterator[int]

    def next_name(self) -> str:
        """Return a name that was never used."""
        return f"{self.stream}:{next(self.numbers)}"


class Recipe(NamedTuple):
    """A checkpoint made of chunks."""

    #: List of the chunks, as stored.
    head: str
    #: The rest of the JSON, with a `GAP` at each place of chunks.
    literal: bytes
    #: All chunks in their order, and the texts of new ones by name.
    chunks: list[Chunk]
    fresh: dict[str, bytes]


def head_of(stored: bytes) -> str:
    """Return the list of chunks in a stored recipe. Raises `ValueError` if the list is not text."""
    return stored[len(RECIPE) :].partition(b"\n")[0].decode("ascii")


def ranges_of(names: list[str]) -> str:
    """Return the names at one place as a recipe lists them."""
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
    """Return the names of the chunks at each place of a recipe.

    Raises `ValueError` for an unreadable list.
    """
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
    """Return the JSON of a checkpoint.

    Raises `ValueError` if a chunk is missing, or the places do not match.
    """
    places = names_of(head)
    around = literal.split(GAP)
    if len(around) != len(places) + 1:
        raise ValueError("its places for chunks do not match its list of chunks")
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
    """Return the digest by which a chunk is found again."""
    return blake2b(text, digest_size=16).digest()
