"""The one crossing from Celery's synchronous tasks to the async `SessionManager`.

Each process has one event loop, in a thread of its own, and one manager on it. What interrupts a task (a
time limit, a cold shutdown) cancels its coroutine *and waits for it*: a coroutine merely left behind was
seen to go on deleting inside the next task.
"""

import asyncio
import inspect
import os
import threading
import time
from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from agent_runtime.manager import SessionManager

T = TypeVar("T")

#: Between two looks for signals while a coroutine runs, and whether an interrupted one has ended, seconds.
_LOOK_UP_SECONDS, _PAUSE_SECONDS = 0.2, 0.001


class Bridge:
    """An event loop in a thread, and a manager."""

    def __init__(self) -> None:
        self.manager = SessionManager.from_settings()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="agent-sessions-loop", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The coroutine's result. If the caller is interrupted, the coroutine has ended when this raises.

        An interruption can come between any two instructions. So all is in the `try`, and what is waited on
        is a C queue (within `threading.Event`, it can leave a lock behind that nobody opens), with a look up
        now and then (a signal just before the wait would be noticed only after it).
        """
        tasks: list[asyncio.Task[T]] = []
        ended: SimpleQueue[None] = SimpleQueue()

        def start() -> None:
            task = self._loop.create_task(coroutine)
            task.add_done_callback(lambda _: ended.put(None))
            tasks.append(task)

        def stop() -> None:
            if tasks:
                tasks[0].cancel()
            else:
                coroutine.close()

        try:
            self._loop.call_soon_threadsafe(start)
            while inspect.getcoroutinestate(coroutine) != inspect.CORO_CLOSED:
                with suppress(Empty):
                    ended.get(timeout=_LOOK_UP_SECONDS)
        except BaseException:
            self._loop.call_soon_threadsafe(stop)
            while inspect.getcoroutinestate(coroutine) != inspect.CORO_CLOSED:
                time.sleep(_PAUSE_SECONDS)
            raise
        return tasks[0].result()

    def iterate(self, steps: AsyncGenerator[T]) -> Iterator[T]:
        """What the generator yields, one by one. It is closed when the caller stops, for whatever reason."""

        async def step() -> T:
            return await anext(steps)

        try:
            while True:
                yield self.run(step())
        except StopAsyncIteration:
            return
        finally:
            self.run(_close(steps))


async def _close(steps: AsyncGenerator[Any]) -> None:
    await steps.aclose()


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
