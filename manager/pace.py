"""How much one batch of bulk work takes on, so that other clients of the server keep their latency."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: Sessions in the first batch, before anything is known of the server.
_START = 100
#: Bounds. Lua unpacks at most some 8,000 values, and a session has three keys.
_MINIMUM, _MAXIMUM = 10, 1_000


class Pace:
    """Adapts a batch size to the time that batches take: a quarter more while they are within the target,
    half where they take more than twice as long.

    Example:
        >>> pace = Pace(target_seconds=0.002)
        >>> with pace.batch() as size:
        ...     print(size)
        100
    """

    def __init__(self, target_seconds: float) -> None:
        self._target_seconds = target_seconds
        self._size = _START

    @contextmanager
    def batch(self) -> Iterator[int]:
        started = time.perf_counter()
        yield self._size
        taken = time.perf_counter() - started
        if taken > 2 * self._target_seconds:
            self._size = max(_MINIMUM, self._size // 2)
        elif taken < self._target_seconds:
            self._size = min(_MAXIMUM, self._size + self._size // 4)
