"""Sizes the batches of bulk work and spaces them, so that others on the server keep their latency."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

from agent_runtime.manager.settings import Settings

#: Sessions in the first batch, before anything is known of the server.
_START = 100
#: Bounds. Lua unpacks at most some 8,000 values, and a session has three keys.
_MINIMUM, _MAXIMUM = 10, 1_000
#: A batch within these shares of the target leaves the size as it is.
_SHORT, _LONG = 0.75, 1.5

#: Polite: a batch takes this part of the target, because another client's call waits for one batch, or for
#: one of each worker. With a fifth, `GET` took 2.3 ms at the 99th percentile; with this, 2.0.
_POLITE_PART = 0.15
#: Polite: most of the time that the server works on batches of one worker, for 0.12 of the speed of `UNLINK`.
_POLITE_SHARE = 0.3
#: A sleep is good to 1 ms, longer than a polite batch. Its excess is taken off the next rests, but not more
#: than this, seconds: a process that was held up for long must not make up for it.
_MOST_CREDIT = 0.002


def pace_of(settings: Settings) -> "Pace":
    """Return a new pace, as the settings have it."""
    return Pace(settings.batch_target_ms / 1000, polite=settings.pace == "polite")


class Pace:
    """Adapts a batch size to the time that the server works on a batch: a quarter more if that is short of
    the target, half if it is far over the target. A polite pace has smaller batches and rests between them.

    The time measured here includes the way to the server and back. After a batch that took too long, a
    smallest
    one shows the length of the way: without that, 2 ms of network brought every batch to the minimum and a
    job to a tenth of its speed. (A script cannot time itself: on Valkey 9, `TIME` stands still in it.)

    A single batch that took long was kept waiting by somebody else, so the quicker of the last two counts:
    without that, on a busy machine, batches of 0.6 ms shrank to the minimum.

    Example:
        >>> pace = Pace(target_seconds=0.002, polite=False)
        >>> async with pace.batch() as size:
        ...     print(size)
        100
    """

    def __init__(self, target_seconds: float, *, polite: bool) -> None:
        self._target_seconds = target_seconds * (_POLITE_PART if polite else 1)
        self._rest_for_work = 1 / _POLITE_SHARE - 1 if polite else 0.0
        self._owed_seconds = 0.0
        self._size = _START
        self._last_each = inf
        self._way_seconds: float | None = None
        self._probing = False

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[int]:
        """Yield the size of the batch that the block does. Rests come before, so a single batch has none."""
        await self._rest()
        probing = self._probing
        started = time.perf_counter()
        yield _MINIMUM if probing else self._size
        taken = time.perf_counter() - started
        if probing:
            self._way_seconds = min(taken, self._way_seconds or inf)
        worked_seconds = taken - (self._way_seconds or 0.0)
        # The rest is for the whole time: two workers that wait for each other both rest longer.
        self._owed_seconds += worked_seconds * self._rest_for_work
        if probing:
            self._probing = False
        else:
            self._adapt(worked_seconds)

    async def _rest(self) -> None:
        if self._owed_seconds > 0:
            started = time.perf_counter()
            # Otherwise two workers that were answered together would send together again, and for ever.
            await asyncio.sleep(self._owed_seconds * random.uniform(0.5, 1.5))  # noqa: S311
            self._owed_seconds -= time.perf_counter() - started
            self._owed_seconds = max(self._owed_seconds, -_MOST_CREDIT)

    def _adapt(self, worked_seconds: float) -> None:
        each = worked_seconds / self._size
        usual_seconds = min(each, self._last_each) * self._size
        self._last_each = each
        if usual_seconds > _LONG * self._target_seconds:
            if self._way_seconds is not None:
                self._size = max(_MINIMUM, self._size // 2)
            self._probing = True
        elif usual_seconds < _SHORT * self._target_seconds:
            self._size = min(_MAXIMUM, self._size + self._size // 4)
