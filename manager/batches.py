"""Entries of a batch on their way: planned one by one, sent some tens at a time, each answered in its place.

While the server works on one page the next is made ready here, so that neither waits for the other.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from manager.errors import AgentSessionsError
from manager.keys import Keys

#: Entries and bytes of arguments that one script takes; that keeps it near half a millisecond.
PAGE, PAGE_BYTES = 32, 262_144

#: Pages of one batch that are on their way at a time: enough to keep the server busy, and little memory.
_AT_ONCE = 8

P = TypeVar("P")
R = TypeVar("R")


class Plan(NamedTuple, Generic[P]):
    """What an entry asks for, once it is checked."""

    item: P
    #: Where one script can take it together with others; None where it is sent on its own.
    keys: Keys | None
    #: Of its arguments, bytes.
    size: int = 0


@dataclass(slots=True)
class _Page(Generic[P]):
    """Entries that are sent together."""

    keys: Keys | None
    places: list[int] = field(default_factory=list)
    items: list[P] = field(default_factory=list)
    size: int = 0

    def add(self, place: int, plan: Plan[P]) -> bool:
        """Whether it is full now."""
        self.places.append(place)
        self.items.append(plan.item)
        self.size += plan.size
        return len(self.places) >= PAGE or self.size >= PAGE_BYTES


class Batch(Generic[P, R]):
    """A call for many sessions.

    Args:
        entries: what the caller asks for.
        plan: checks an entry.
        send: has one script do some of them, all in one partition and each about another session.
        send_alone: does one.
    """

    def __init__(
        self,
        entries: list[Any],
        plan: Callable[[Any], Plan[P]],
        send: Callable[[Keys, list[P]], Awaitable[Sequence[R | AgentSessionsError]]],
        send_alone: Callable[[P], Awaitable[R]],
    ) -> None:
        self._entries = entries
        self._plan = plan
        self._send = send
        self._send_alone = send_alone
        self._answers: dict[int, R | AgentSessionsError] = {}

    async def run(self) -> list[R | AgentSessionsError]:
        """For each entry what became of it. Entries about one session wait for each other."""
        for wave in _waves(self._entries):
            pages = self._pages(wave)

            async def take(pages: Iterator[_Page[P]] = pages) -> None:
                for page in pages:
                    answers = await self._answers_to(page)
                    self._answers.update(zip(page.places, answers, strict=True))

            await at_once(take, len(wave))
        return [self._answers[place] for place in range(len(self._entries))]

    def _pages(self, wave: list[int]) -> Iterator[_Page[P]]:
        begun: dict[Keys | None, _Page[P]] = {}
        for place in wave:
            try:
                plan = self._plan(self._entries[place])
            except AgentSessionsError as error:
                self._answers[place] = error
                continue
            page = begun.setdefault(plan.keys, _Page(plan.keys))
            if page.add(place, plan):
                yield begun.pop(plan.keys)
        yield from begun.values()

    async def _answers_to(self, page: _Page[P]) -> Sequence[R | AgentSessionsError]:
        if page.keys is None:
            return await asyncio.gather(*map(self._alone, page.items))
        try:
            return await self._send(page.keys, page.items)
        except AgentSessionsError as error:
            return [error] * len(page.items)

    async def _alone(self, item: P) -> R | AgentSessionsError:
        try:
            return await self._send_alone(item)
        except AgentSessionsError as error:
            return error


async def at_once(take: Callable[[], Coroutine[Any, Any, None]], pieces: int) -> None:
    """Does so many pieces of work, some at a time: `take` takes one after the other, while there are any.

    Each begins when what the one before it has to send is on its way.
    """

    async def begin(turn: int) -> None:
        for _ in range(turn):
            await asyncio.sleep(0)
        await take()

    await asyncio.gather(*(begin(turn) for turn in range(min(pieces, _AT_ONCE))))


def _waves(entries: list[Any]) -> list[list[int]]:
    """Places of the entries. Those about one session are in waves one behind the other, in their order."""
    waves: list[list[int]] = []
    seen: Counter[str] = Counter()
    for place, entry in enumerate(entries):
        session_id = entry.get("session_id") if isinstance(entry, Mapping) else entry
        wave = 0
        if isinstance(session_id, str):
            wave = seen[session_id]
            seen[session_id] += 1
        if wave == len(waves):
            waves.append([])
        waves[wave].append(place)
    return waves
