"""What cannot be read is an error where it is asked for, and left out of listings, which tell the log."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from agent_runtime.manager.errors import CorruptDataError

logger = logging.getLogger("agent_sessions")

S = TypeVar("S")
T = TypeVar("T")


class SkipCorrupt:
    """One listing. What it leaves out it tells once, however many pages show it."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def readable(self, stored: Iterable[S], read: Callable[[S], T]) -> Iterator[T]:
        """What `read` makes of each, without those for which it raises `CorruptDataError`."""
        for each in stored:
            try:
                made = read(each)
            except CorruptDataError as error:
                self.leave_out(error)
            else:
                yield made

    def leave_out(self, error: CorruptDataError) -> None:
        """Tells what is left out."""
        if str(error) not in self._told:
            self._told.add(str(error))
            logger.error("left out of a listing: %s", error)
