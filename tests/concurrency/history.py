"""A record of operations of several processes: their times and their answers.

A process writes its operations to a journal, a file, before and after each call. So the journal of a killed
process holds everything it had done, and the call whose answer it never saw.
"""

import math
import pickle
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from agent_runtime.manager.errors import AgentSessionsError, StoreOutcomeUnknownError, StoreUnavailableError


class Unknown(Enum):
    """The result of an operation that was not answered: it took effect later, or never."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


class Operation(NamedTuple):
    """One call of one process. Times are of the monotonic clock, which all processes here share."""

    name: str
    arguments: tuple[Any, ...]
    #: The returned value, the class of the error that refused the call, or `UNKNOWN`.
    result: Any
    invoked: float
    #: Infinite if the result is unknown.
    responded: float
    member: int

    @property
    def answered(self) -> bool:
        return self.responded < math.inf


History = list[Operation]


class Journal:
    """The file in which one process records its operations."""

    def __init__(self, path: Path, member: int) -> None:
        self._file = path.open("ab", buffering=0)
        self._member = member
        self._written = 0

    async def record(
        self, name: str, call: Awaitable[Any], *arguments: Any, take: Callable[[Any], Any] = lambda it: it
    ) -> Any:
        """Await the call, and record and return its result as `take` transforms it."""
        number, self._written = self._written, self._written + 1
        invoked = time.monotonic()
        self._write(number, Operation(name, arguments, UNKNOWN, invoked, math.inf, self._member))
        try:
            result = take(await call)
        except (StoreOutcomeUnknownError, StoreUnavailableError):
            return UNKNOWN
        except AgentSessionsError as error:
            result = type(error)
        self._write(number, Operation(name, arguments, result, invoked, time.monotonic(), self._member))
        return result

    def close(self) -> None:
        self._file.close()

    def _write(self, number: int, operation: Operation) -> None:
        self._file.write(pickle.dumps((number, tuple(operation))))


def read_journal(path: Path) -> History:
    """Return the operations in the order of their calls."""
    found: dict[int, Operation] = {}
    with path.open("rb") as file:
        while True:
            try:
                number, fields = pickle.load(file)
            except (EOFError, pickle.UnpicklingError):  # the end, or an entry cut off by a kill
                return list(found.values())
            found[number] = Operation(*fields)


def results(history: History, *names: str) -> list[Any]:
    """Return the results of the answered operations with one of these names."""
    return [each.result for each in history if each.name in names and each.answered]
