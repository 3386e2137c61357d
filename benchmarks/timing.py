"""Two ways to do the same work, timed in turn."""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

Work = Callable[[], Awaitable[Any]]
#: Makes ready (untimed) and returns the work to be timed.
Side = Callable[[], Awaitable[Work]]


class Comparison(NamedTuple):
    """What came out of one case. A ratio is our speed by the raw speed: raw time by our time."""

    case: str
    against: str
    #: What is counted, and how much of it one round does.
    unit: str
    operations: int
    raw_seconds: list[float]
    our_seconds: list[float]
    #: Lowest median ratio that counts as reached; None where none is set.
    aim: float | None = None
    #: Whatever else is worth telling, for the table's last column and the result file.
    details: dict[str, Any] = {}  # noqa: RUF012  (never changed)

    @property
    def ratios(self) -> list[float]:
        return [raw / ours for raw, ours in zip(self.raw_seconds, self.our_seconds, strict=True)]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def our_speed(self) -> float:
        """Operations per second; indicative, since it depends on the machine."""
        return self.operations / statistics.median(self.our_seconds)

    @property
    def raw_speed(self) -> float:
        """Operations per second; indicative, since it depends on the machine."""
        return self.operations / statistics.median(self.raw_seconds)


async def alternate(
    rounds: int,
    sides: Sequence[Side],
    *,
    warm_up: bool = True,
    after: Callable[[int], None] = lambda _: None,
) -> list[list[float]]:
    """Seconds of each round, by side. The order turns round every time, so that a drift hits all alike.

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
    """How long the work took, seconds."""
    gc.collect()
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


def calls(call: Callable[[Any], Awaitable[Any]], items: Sequence[Any], width: int) -> Work:
    """Work that makes one call per item: in turn, or `width` of them gathered at a time."""

    async def in_turn() -> None:
        for item in items:
            await call(item)

    async def together() -> None:
        for first in range(0, len(items), width):
            await asyncio.gather(*(call(item) for item in items[first : first + width]))

    return in_turn if width == 1 else together


def reached(aim_met: bool) -> str:
    return "reached" if aim_met else "MISSED"
