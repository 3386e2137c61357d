"""What several processes did, when, and what they were answered.

A process writes its operations to a journal, a file, before and after each call. So the journal of a process
that was killed holds all it had done, and the call that it never saw the answer of.
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
    """The result of an operation that was not answered: it happened later on, or never."""

    UNKNOWN = "unknown"


UNKNOWN = Unknown.UNKNOWN


class Operation(NamedTuple):
    """One call of one process. Moments are of the monotonic clock, which all processes here share."""

    name: str
    arguments: tuple[Any, ...]
    #: What it returned, the class of the error that refused it, or `UNKNOWN`.
    result: Any
    invoked: float
    #: Infinite where the result is unknown.
    responded: float
    member: int

    @property
    def answered(self) -> bool:
        return self.responded < math.inf


History = list[Operation]


class Journal:
    """Where one process writes what it does."""

    def __init__(self, path: Path, member: int) -> None:
        self._file = path.open("ab", buffering=0)
        self._member = member
        self._written = 0

    async def record(
        self, name: str, call: Awaitable[Any], *arguments: Any, take: Callable[[Any], Any] = lambda it: it
    ) -> Any:
        """Awaits the call; its result (what `take` makes of it), which is also written down."""
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
    """The operations in the order of their calls."""
    found: dict[int, Operation] = {}
    with path.open("rb") as file:
        while True:
            try:
                number, fields = pickle.load(file)
            except (EOFError, pickle.UnpicklingError):  # the end, or what a killed process wrote half
                return list(found.values())
            found[number] = Operation(*fields)


def results(history: History, *names: str) -> list[Any]:
    """The results of the answered operations with one of these names."""
    return [each.result for each in history if each.name in names and each.answered]
