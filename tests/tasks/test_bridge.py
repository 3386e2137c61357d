"""The crossing from synchronous tasks to async code."""

import asyncio
import os
import signal
import threading

import pytest

from tasks.bridge import bridge


class Interrupted(BaseException):
    """What a time limit or a cold shutdown raises in a task, at any point."""


def test_a_result_crosses_the_bridge() -> None:
    async def work() -> str:
        return "done"

    assert bridge().run(work()) == "done"


def test_an_error_crosses_the_bridge() -> None:
    async def work() -> None:
        raise LookupError("not here")

    with pytest.raises(LookupError, match="not here"):
        bridge().run(work())


def test_an_interrupted_task_leaves_no_coroutine_behind() -> None:
    begun, ended = threading.Event(), threading.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)  # what it has to put in order takes a while
            ended.set()

    def interrupt(*_: object) -> None:
        raise Interrupted

    def interrupt_once_begun() -> None:
        begun.wait()
        os.kill(os.getpid(), signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, interrupt)
    try:
        thread = threading.Thread(target=interrupt_once_begun)
        thread.start()
        with pytest.raises(Interrupted):
            bridge().run(work())
    finally:
        signal.signal(signal.SIGUSR1, previous)
    thread.join()
    assert ended.is_set()


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
