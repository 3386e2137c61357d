"""The store that a command works on."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from agent_runtime.manager import SessionManager
from agent_runtime.tasks import SessionJobs

T = TypeVar("T")


class Connection:
    """One manager on one event loop for all that a command does.

    No loop runs between two coroutines, so Ctrl-C ends a question that the command asks there.
    """

    def __init__(self, manager: SessionManager, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self.manager = manager
        self.jobs = SessionJobs(manager)
        self._run = run

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine to its end and return its result."""
        result: T = self._run(coroutine)
        return result


@contextmanager
def connect() -> Iterator[Connection]:
    """Connect to the store that the settings name while the block runs."""
    with asyncio.Runner() as runner:
        manager = SessionManager.from_settings()
        try:
            yield Connection(manager, runner.run)
        finally:
            runner.run(manager.aclose())
