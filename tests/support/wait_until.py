"""Waiting for something to become true, for as short as possible."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

_PAUSE_SECONDS = 0.005

#: Where nothing else is said. It tells that something never comes, not how soon it must: a machine that has
#: much else to do is no fault.
_PATIENCE_SECONDS = 30.0


def _failure(description: str, timeout: float) -> AssertionError:
    return AssertionError(f"not within {timeout} s: {description}")


async def wait_until(
    predicate: Callable[[], Any], *, description: str, timeout: float = _PATIENCE_SECONDS
) -> Any:
    """The first true answer of `predicate` (a function or a coroutine function)."""
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise _failure(description, timeout)
        await asyncio.sleep(_PAUSE_SECONDS)


def wait_until_blocking(
    predicate: Callable[[], Any], *, description: str, timeout: float = _PATIENCE_SECONDS
) -> Any:
    """The same where no event loop runs."""
    deadline = time.monotonic() + timeout
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            raise _failure(description, timeout)
        time.sleep(_PAUSE_SECONDS)
    return answer
