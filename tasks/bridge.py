"""The one crossing from Celery's synchronous tasks to the async `SessionManager`.

Each process has one event loop, in a thread of its own, and one manager on it. What interrupts a task (a
time limit, a cold shutdown) cancels its coroutine *and waits for it*: a coroutine merely left behind was
seen to go on deleting inside the next task.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from manager import SessionManager

T = TypeVar("T")


class Bridge:
    """An event loop in a thread, and a manager."""

    def __init__(self) -> None:
        self.manager = SessionManager.from_settings()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="agent-sessions-loop", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result. If the caller is interrupted, the coroutine has ended when this raises."""
        started: Future[asyncio.Task[T]] = Future()
        ended = threading.Event()

        def start() -> None:
            task = self._loop.create_task(coroutine)
            task.add_done_callback(lambda _: ended.set())
            started.set_result(task)

        self._loop.call_soon_threadsafe(start)
        task = started.result()
        try:
            ended.wait()
        except BaseException:
            self._loop.call_soon_threadsafe(task.cancel)
            ended.wait()
            raise
        return task.result()


_lock = threading.Lock()
_bridges: dict[int, Bridge] = {}


def bridge() -> Bridge:
    """The bridge of this process. A loop does not survive a fork, so a child makes its own."""
    with _lock:
        process = os.getpid()
        if process not in _bridges:
            _bridges.clear()
            _bridges[process] = Bridge()
        return _bridges[process]


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


# A child forked while another thread held the lock would wait for it for ever.
os.register_at_fork(after_in_child=_renew_lock)
