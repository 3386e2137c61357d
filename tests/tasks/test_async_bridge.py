"""The crossing from synchronous tasks to async code."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from agent_runtime.tasks.async_bridge import bridge


class Interrupted(BaseException):
    """Raised in a task by a time limit or a cold shutdown, at any point."""


def test_a_result_crosses_the_bridge() -> None:
    async def work() -> str:
        return "done"

    assert bridge().run(work()) == "done"


def test_an_error_crosses_the_bridge() -> None:
    async def work() -> None:
        raise LookupError("not here")

    with pytest.raises(LookupError, match="not here"):
        bridge().run(work())


@pytest.fixture
def interrupt_after() -> Iterator[Callable[[float], None]]:
    """Raises `Interrupted` in the main thread after so many seconds, wherever it is then."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    previous = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # Python swallows what is raised within a finalizer
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    gc.enable()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.timeout(method="thread")  # the other method uses the same signal
@pytest.mark.parametrize("delay_microseconds", [*range(1, 200, 2), 1_000, 20_000])
def test_an_interrupted_task_leaves_no_coroutine_behind(
    interrupt_after: Callable[[float], None], delay_microseconds: int
) -> None:
    running: list[str] = []

    async def work() -> None:
        running.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.001)  # what it has to put in order takes a while
            running.clear()

    crossing = bridge()
    coroutine = work()

    def cross() -> None:
        interrupt_after(delay_microseconds / 1_000_000)
        crossing.run(coroutine)

    with pytest.raises(Interrupted):
        cross()

    assert running == []
    coroutine.close()  # for an interruption that came before the crossing


def test_a_process_has_one_bridge() -> None:
    assert bridge() is bridge()


def test_a_forked_child_makes_a_bridge_of_its_own() -> None:
    parent = bridge()

    async def work() -> int:
        return 7

    child = os.fork()
    if child == 0:
        own = bridge()
        os._exit(0 if own is not parent and own.run(work()) == 7 else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
