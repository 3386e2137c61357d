"""How much one batch of bulk work takes on, so that other clients of the server keep their latency."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Sessions in the first batch, before anything is known of the server.
_START = 100
#: Bounds. Lua unpacks at most some 8,000 values, and a session has three keys.
_MINIMUM, _MAXIMUM = 10, 1_000
#: A batch within these shares of the target leaves the size as it is.
_SHORT, _LONG = 0.75, 1.5


class Pace:
    """Adapts a batch size to the time that the server works on a batch: a quarter more where that is short of
    the target, half where it is far over it.

    What is measured here has the way to the server and back in it. After a batch that took too long, a
    smallest one shows how long the way is: without that, 2 ms of network brought every batch to the minimum
    and a job to a tenth of its speed. (A script cannot time itself: on Valkey 9, `TIME` stands still in it.)

    Example:
        >>> pace = Pace(target_seconds=0.002)
        >>> with pace.batch() as size:
        ...     print(size)
        100
    """

    def __init__(self, target_seconds: float) -> None:
        self._target_seconds = target_seconds
        self._size = _START
        self._way_seconds: float | None = None
        self._probing = False

    @contextmanager
    def batch(self) -> Iterator[int]:
        probing = self._probing
        started = time.perf_counter()
        yield _MINIMUM if probing else self._size
        taken = time.perf_counter() - started
        if probing:
            self._way_seconds = taken if self._way_seconds is None else min(taken, self._way_seconds)
            self._probing = False
        else:
            self._adapt(taken - (self._way_seconds or 0.0))

    def _adapt(self, worked_seconds: float) -> None:
        if worked_seconds > _LONG * self._target_seconds:
            if self._way_seconds is not None:
                self._size = max(_MINIMUM, self._size // 2)
            self._probing = True
        elif worked_seconds < _SHORT * self._target_seconds:
            self._size = min(_MAXIMUM, self._size + self._size // 4)
