"""A caller's record of its answers: one line for each call, written at once so that it survives its writer.

An outcome is one of

    answered      the call returned; `told` is its result
    refused       the state of a job did not allow it, or a session was not live; nothing was changed
    unavailable   not applied: no connection could be made
    unknown       sent, but no answer came back
    failed        anything else, which should not happen; `told` is the error
"""

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """One call."""

    #: Time of the answer, seconds since the epoch.
    at: float
    #: The round of the call. Users and agents of one round appear in no other.
    round: str
    #: Name of the call.
    call: str
    outcome: str
    #: The caller's answer.
    told: Any
    #: The caller's question.
    asked: dict[str, Any]


class Journal:
    """The file of one caller."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def write(self, round_: str, call: str, outcome: str, told: Any, asked: dict[str, Any]) -> None:
        self._file.write(json.dumps(Entry(time.time(), round_, call, outcome, told, asked)) + "\n")


def read_journals(paths: Iterable[Path]) -> Iterator[Entry]:
    """Yield all entries, each journal in its order."""
    for path in paths:
        with path.open() as file:
            for line in file:
                yield Entry(*json.loads(line))
