"""Entries of a batch on their way: planned one by one, sent in pages of some tens, each answered in its
place.

While the server works on one page the next is planned here, so that neither waits for the other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from agent_runtime.manager.errors import AgentSessionsError
from agent_runtime.manager.keys import Keys

#: Most entries and bytes of arguments of one script; that keeps it near half a millisecond.
PAGE, PAGE_BYTES = 32, 262_144

#: Most pages of one batch on their way at a time: enough to keep the server busy, and little memory.
_AT_ONCE = 8

P = TypeVar("P")
R = TypeVar("R")


class Plan(NamedTuple, Generic[P]):
    """An entry whose arguments were checked."""

    item: P
    #: Keys of the partition in which one script takes it with others; None if it is sent alone.
    keys: Keys | None
    #: Bytes of its arguments.
    size: int = 0


@dataclass(slots=True)
class _Page(Generic[P]):
    """Entries that are sent together."""

    keys: Keys | None
    places: list[int] = field(default_factory=list)
    items: list[P] = field(default_factory=list)
    size: int = 0

    def add(self, place: int, plan: Plan[P]) -> bool:
        """Add an entry, and return True if the page is full now."""
        self.places.append(place)
        self.items.append(plan.item)
        self.size += plan.size
        return len(self.places) >= PAGE or self.size >= PAGE_BYTES


class Batch(Generic[P, R]):
    """A call for many sessions.

    Args:
        entries: what the caller asks for.
        plan: checks an entry.
        send: has one script take some entries of one partition, and returns an outcome for each.
        send_alone: takes one entry, if some plans have no keys.
        in_order: True if a page takes several entries about one session, in their order; else each entry of a
            page is about another session.
    """

    def __init__(
        self,
        entries: list[Any],
        plan: Callable[[Any], Plan[P]],
        send: Callable[[Keys, list[P]], Awaitable[Sequence[R | AgentSessionsError]]],
        send_alone: Callable[[P], Awaitable[R]] | None = None,
        *,
        in_order: bool = False,
    ) -> None:
        self._entries = entries
        self._plan = plan
        self._send = send
        self._send_alone = send_alone
        self._in_order = in_order
        self._answers: dict[int, R | AgentSessionsError] = {}

    async def run(self) -> list[R | AgentSessionsError]:
        """Take all entries, and return an outcome for each.

        Entries about one session that no script takes together wait for each other.
        """
        wave: Sequence[int] = range(len(self._entries))
        while wave:
            left: list[int] = []
            pages = self._pages(wave, left)

            async def take(pages: Iterator[_Page[P]] = pages) -> None:
                for page in pages:
                    answers = await self._answers_to(page)
                    self._answers.update(zip(page.places, answers, strict=True))

            await at_once(take, len(wave))
            wave = left
        return [self._answers[place] for place in range(len(self._entries))]

    def _pages(self, wave: Sequence[int], left: list[int]) -> Iterator[_Page[P]]:
        """Yield pages of the entries at these places. Put the places that have to wait into `left`."""
        begun: dict[Keys | None, _Page[P]] = {}
        #: Page of the entries about a session; None if one waits, so that all behind it wait too.
        of_session: dict[str | None, _Page[P] | None] = {}

        def wait(place: int, session_id: str | None) -> None:
            of_session[session_id] = None
            left.append(place)

        for place in wave:
            session_id = _session_of(self._entries[place])
            page = of_session.get(session_id)
            if session_id in of_session and not self._takes_more(page, begun):
                wait(place, session_id)
                continue
            try:
                plan = self._plan(self._entries[place])
            except AgentSessionsError as error:
                self._answers[place] = error
                continue
            if page is not None and plan.keys != page.keys:
                wait(place, session_id)
                continue
            page = begun.setdefault(plan.keys, _Page(plan.keys))
            if session_id is not None:
                of_session[session_id] = page
            if page.add(place, plan):
                yield begun.pop(plan.keys)
        yield from begun.values()

    def _takes_more(self, page: _Page[P] | None, begun: Mapping[Keys | None, _Page[P]]) -> bool:
        """Return True if another entry about a session may join those in a page."""
        return self._in_order and page is not None and page.keys is not None and begun.get(page.keys) is page

    async def _answers_to(self, page: _Page[P]) -> Sequence[R | AgentSessionsError]:
        if page.keys is None:
            return await asyncio.gather(*map(self._alone, page.items))
        try:
            return await self._send(page.keys, page.items)
        except AgentSessionsError as error:
            return [error] * len(page.items)

    async def _alone(self, item: P) -> R | AgentSessionsError:
        assert self._send_alone is not None  # noqa: S101  (for the type checker)
        try:
            return await self._send_alone(item)
        except AgentSessionsError as error:
            return error


async def at_once(take: Callable[[], Coroutine[Any, Any, None]], count: int) -> None:
    """Take `count` pieces of work, some at a time: `take` takes one after the other, while there are any.

    Each begins when the one before it has sent what it has to send.
    """

    async def begin(turn: int) -> None:
        for _ in range(turn):
            await asyncio.sleep(0)
        await take()

    await asyncio.gather(*(begin(turn) for turn in range(min(count, _AT_ONCE))))


def _session_of(entry: Any) -> str | None:
    """Return the session that an entry is about; None if it names none, or has no name yet."""
    session_id = entry.get("session_id") if isinstance(entry, Mapping) else entry
    return session_id if isinstance(session_id, str) else None
