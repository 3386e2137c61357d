"""Corrupt items: reading one directly raises an error; listings skip them and log them."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from agent_runtime.manager.errors import CorruptDataError

logger = logging.getLogger("agent_sessions")

S = TypeVar("S")
T = TypeVar("T")


class SkipCorrupt:
    """One listing. It logs each corrupt item once, however many pages show the item."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def readable(self, stored: Iterable[S], read: Callable[[S], T]) -> Iterator[T]:
        """Yield the result of `read` for each item. Skip items for which it raises `CorruptDataError`."""
        for each in stored:
            try:
                made = read(each)
            except CorruptDataError as error:
                self.leave_out(error)
            else:
                yield made

    def leave_out(self, error: CorruptDataError) -> None:
        """Log an item that the listing skips."""
        if str(error) not in self._told:
            self._told.add(str(error))
            logger.error("left out of a listing: %s", error)
