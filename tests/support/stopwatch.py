"""Time as a process had it, for checks of how long something takes, on machines that have much else to do."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

_TICK_SECONDS = 0.005

#: A tick that comes later than this was held up by other processes, or by the machine itself.
_LONGEST_TICK_SECONDS = 0.02


class Stopwatch:
    """Counts the seconds while the block runs, but for those for which this process got no processor.

    A thread ticks beside the block. While code waits for something, however wrongly, the ticks come and are
    counted; where everything stands still, they stay away.

    Example:
        >>> with Stopwatch() as watch:
        ...     wait()
        >>> assert watch.seconds < 1.5
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _tick(self) -> None:
        last = time.monotonic()
        ended = False
        while not ended:
            ended = self._ended.wait(_TICK_SECONDS)
            now = time.monotonic()
            self.seconds += min(now - last, _LONGEST_TICK_SECONDS)
            last = now


class Lag:
    """How late an event loop was at most."""

    seconds = 0.0


@asynccontextmanager
async def measured_lag() -> AsyncIterator[Lag]:
    """Measures, while the block runs, for how long the event loop does nothing else."""
    lag = Lag()

    async def tick() -> None:
        while True:
            before = watch.seconds
            await asyncio.sleep(_TICK_SECONDS)
            lag.seconds = max(lag.seconds, watch.seconds - before - _TICK_SECONDS)

    with Stopwatch() as watch:
        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0)
        yield lag
        await asyncio.sleep(4 * _TICK_SECONDS)  # a tick that was held up has yet to come
        ticking.cancel()
