"""Measure two ways to do the same in turn, and keep the results."""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

Work = Callable[[], Awaitable[Any]]
#: Prepares (untimed) and returns the work to be timed.
Side = Callable[[], Awaitable[Work]]


class Result(NamedTuple):
    """Results of one case: a figure for each round, ours and the raw counterpart's."""

    case: str
    against: str
    raw: list[float]
    ours: list[float]
    #: Unit of the figures. Seconds are compared as speeds (more is better); for all other units, less is
    #: better.
    unit: str = "s"
    #: Operations in one round.
    operations: int = 1
    #: Calls gathered at a time; 1 for calls in turn; None if the number means nothing.
    width: int | None = None
    #: The ratio to reach: at least this if speeds are compared, otherwise at most this.
    aim: float | None = None
    #: Further facts about the case.
    details: dict[str, Any] = {}  # noqa: RUF012  (never changed)

    @property
    def ratios(self) -> list[float]:
        """Our speed by the raw speed; for other units, our figure by the raw one."""
        pairs = zip(self.raw, self.ours, strict=True)
        return [raw / ours if self.unit == "s" else ours / raw for raw, ours in pairs]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def reached(self) -> bool | None:
        """True if the ratio meets the aim; None if there is no aim."""
        if self.aim is None:
            return None
        return self.ratio >= self.aim if self.unit == "s" else self.ratio <= self.aim

    @property
    def name(self) -> str:
        return self.case if self.width is None else f"{self.case}, {named(self.width)}"

    @property
    def aim_text(self) -> str:
        if self.aim is None:
            return ""
        sign = "≥" if self.unit == "s" else "≤"
        return f"{sign} {self.aim:.3g} {'reached' if self.reached else 'MISSED'}"


def named(width: int) -> str:
    return "in turn" if width == 1 else f"{width:,} gathered"


async def alternate(
    rounds: int,
    sides: Sequence[Side],
    *,
    warm_up: bool = True,
    after: Callable[[int], None] = lambda _: None,
) -> list[list[float]]:
    """Return seconds of each round, by side. The order is reversed every time, so that drift affects all
    sides alike.

    `after` is called with the place of each side that has just run.
    """
    seconds: list[list[float]] = [[] for _ in sides]
    places = list(enumerate(sides))
    for number in range(-1 if warm_up else 0, rounds):
        for place, side in places if number % 2 else reversed(places):
            taken = await timed(await side())
            after(place)
            if number >= 0:
                seconds[place].append(taken)
    return seconds


async def timed(work: Work) -> float:
    """Return the duration of the work, seconds."""
    gc.collect()
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


def calls(call: Callable[[Any], Awaitable[Any]], items: Sequence[Any], width: int) -> Work:
    """Return work that makes one call per item: in turn, or `width` of them gathered at a time."""

    async def in_turn() -> None:
        for item in items:
            await call(item)

    async def together() -> None:
        for first in range(0, len(items), width):
            await asyncio.gather(*(call(item) for item in items[first : first + width]))

    return in_turn if width == 1 else together


def reached(aim_met: bool) -> str:
    return "reached" if aim_met else "MISSED"
