"""Waiting for something to become true, for as short as possible.

A wait gives up if nothing has moved for a while, not after a number of seconds. A machine that carries four
times its load needs more time for everything, and that is no fault of what is tested.
"""

import asyncio
import inspect
import os
import time
from collections.abc import Callable
from typing import Any

_PAUSE_SECONDS = 0.005

#: Longest that nothing may move, seconds, on a machine that carries its load.
PATIENCE_SECONDS = 60.0

#: Longest for a program that is only asked for its output: a hang is told, a slow machine is not.
HANG_SECONDS = 600.0


def stretched(seconds: float) -> float:
    """Return the time that takes `seconds` on a machine that carries its load, on this one as it is now."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class Patience:
    """Tells when to give up: once `progress` has answered the same for `seconds`, stretched by the load."""

    def __init__(self, description: str, seconds: float, progress: Callable[[], Any]) -> None:
        self._description = description
        self._seconds = seconds
        self._progress = progress
        self._last: Any = None
        self._moved_at = time.monotonic()

    def check(self) -> None:
        """Raise `AssertionError` if nothing has moved for too long."""
        current = self._progress()
        if current != self._last:
            self._last, self._moved_at = current, time.monotonic()
        elif time.monotonic() - self._moved_at > stretched(self._seconds):
            raise AssertionError(f"nothing moved for {self._seconds:g} s: {self._description}")


async def wait_until(
    predicate: Callable[[], Any],
    *,
    description: str,
    timeout: float = PATIENCE_SECONDS,
    progress: Callable[[], Any] = lambda: None,
) -> Any:
    """Return the first true answer of `predicate` (a function or a coroutine function).

    Args:
        description: what is waited for, for the error.
        timeout: longest that nothing may move, seconds, on a machine that carries its load.
        progress: something that changes as long as the thing is on its way.
    """
    patience = Patience(description, timeout, progress)
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        patience.check()
        await asyncio.sleep(_PAUSE_SECONDS)


def wait_until_blocking(
    predicate: Callable[[], Any],
    *,
    description: str,
    timeout: float = PATIENCE_SECONDS,
    progress: Callable[[], Any] = lambda: None,
) -> Any:
    """Do the same if no event loop runs."""
    patience = Patience(description, timeout, progress)
    while not (answer := predicate()):
        patience.check()
        time.sleep(_PAUSE_SECONDS)
    return answer
