"""Processors that do not halt between calls.

A processor with nothing to do halts, and a virtual one takes 50 µs and more to wake up. This happens on both
sides of every call in turn, and costs as much as the call itself. On the same idle machine `HGETALL` in turn
ran at 6,500 a second, and at 13,000 with its processors awake. Therefore a spinner runs on each processor, at
a priority that lets every other process go first.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_TURNS = 100_000


@contextmanager
def processors_awake() -> Iterator[None]:
    """Keep every processor from halting while the context is open. Does nothing on systems without
    SCHED_IDLE."""
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
    while os.getppid() == parent:  # ends the spinner if the run is killed
        for _ in range(_TURNS):
            pass
