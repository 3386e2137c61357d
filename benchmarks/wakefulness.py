"""Processors that do not halt between calls.

A processor with nothing to do halts, and a virtual one takes 50 µs and more to wake up: on either side of
every call in turn, which is as much as the call itself takes. On the same idle machine `HGETALL` in turn was
seen at 6,500 a second, and at 13,000 with its processors awake. So something spins on each of them that runs
only while nobody else wants to.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_TURNS = 100_000


@contextmanager
def processors_awake() -> Iterator[None]:
    """While this is open, no processor halts. Does nothing where the system has no class for idle work."""
    with ExitStack() as spinning:
        if can_be_kept_awake():
            spawn = multiprocessing.get_context("spawn")
            for processor in os.sched_getaffinity(0):
                spinner = spawn.Process(target=_spin, args=(processor, os.getpid()), daemon=True)
                spinner.start()
                spinning.callback(spinner.join)
                spinning.callback(spinner.terminate)
        yield


def can_be_kept_awake() -> bool:
    return hasattr(os, "SCHED_IDLE")


def _spin(processor: int, parent: int) -> None:
    os.sched_setaffinity(0, {processor})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while os.getppid() == parent:  # not for ever, should the run be killed
        for _ in range(_TURNS):
            pass
