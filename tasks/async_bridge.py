"""The one crossing from Celery's synchronous tasks to the async `SessionManager`.

Each process has one event loop for each store, in a thread of its own, and one manager on it. An interruption
of a task (a time limit, a cold shutdown) cancels the task's coroutine *and waits for it*: a coroutine merely
left behind was seen to go on deleting inside the next task.
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

from agent_runtime.manager import SessionManager, Settings, load_settings

T = TypeVar("T")

#: Pause between two looks for signals while a coroutine runs, and between two looks if an interrupted
#: coroutine has ended, seconds.
_LOOK_UP_SECONDS, _PAUSE_SECONDS = 0.2, 0.001


class Bridge:
    """An event loop in a thread, and a manager."""

    def __init__(self, settings: Settings) -> None:
        self.manager = SessionManager.from_settings(settings)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="agent-sessions-loop", daemon=True).start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return the coroutine's result. If the caller is interrupted, the coroutine has ended when this
        raises.

        An interruption can come between any two instructions. So everything is in the `try`, and the wait is
        on a C queue (within `threading.Event`, an interruption can leave a lock behind that nobody opens),
        with a look up now and then (a signal just before the wait would be noticed only after it).
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
        """Yield what the generator yields. It is closed when the caller stops, for whatever reason."""

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
_bridges: dict[tuple[int, Settings], Bridge] = {}


def bridge(settings: Settings | None = None) -> Bridge:
    """Return the bridge of this process to a store. A loop does not survive a fork, so a child makes its own.

    Args:
        settings: name the store; by default those from the environment.
    """
    settings = settings or load_settings()
    with _lock:
        process = os.getpid()
        if (process, settings) not in _bridges:
            for other in [each for each in _bridges if each[0] != process]:
                del _bridges[other]
            _bridges[process, settings] = Bridge(settings)
        return _bridges[process, settings]


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


# A child forked while another thread held the lock would wait for it for ever.
os.register_at_fork(after_in_child=_renew_lock)
