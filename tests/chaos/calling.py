"""Calls, and a record of each question and each answer."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from agent_runtime.manager import (
    SessionManager,
    SessionNotFoundError,
    StoreOutcomeUnknownError,
    StoreUnavailableError,
)
from agent_runtime.manager.jobs import EnqueueError, JobStateError
from agent_runtime.tasks import SessionJobs
from tests.chaos.journal import Journal

#: Longest rest of a caller after each call, seconds. It is short enough for faults to hit many calls, and
#: long enough to leave some of the machine to the workers.
_REST_SECONDS = 0.03

_OUTCOMES: list[tuple[type[Exception], str]] = [
    (StoreUnavailableError, "unavailable"),
    (StoreOutcomeUnknownError, "unknown"),
    (JobStateError, "refused"),
    (SessionNotFoundError, "refused"),
]


class Answer(NamedTuple):
    """The end of a call: its outcome and its value."""

    outcome: str
    told: Any

    @property
    def answered(self) -> bool:
        return self.outcome == "answered"


class Caller:
    """A caller that records each answer.

    Args:
        round_: name of the round that the calls belong to.
    """

    def __init__(self, manager: SessionManager, journal: Journal, rng: random.Random, round_: str) -> None:
        self.manager = manager
        self.jobs = SessionJobs(manager)
        self.rng = rng
        self.round = round_
        self._journal = journal

    async def call(self, call: str, do: Callable[[], Awaitable[Any]], **asked: Any) -> Answer:
        """Try the call once."""
        outcome, told = await _outcome_of(do)
        self._journal.write(self.round, call, outcome, told, asked)
        await asyncio.sleep(self.rng.uniform(0, _REST_SECONDS))
        return Answer(outcome, told)

    async def insist(self, call: str, do: Callable[[], Awaitable[Any]], **asked: Any) -> Answer:
        """Repeat the call until there is an answer, as a caller that is told "unknown" should."""
        while True:
            answer = await self.call(call, do, **asked)
            if answer.outcome not in ("unavailable", "unknown"):
                return answer
            await asyncio.sleep(self.rng.uniform(0.05, 0.3))


async def _outcome_of(do: Callable[[], Awaitable[Any]]) -> tuple[str, Any]:
    try:
        return "answered", await do()
    except EnqueueError as error:  # the job is open all the same
        return "answered", error.job_id
    except Exception as error:
        for kind, outcome in _OUTCOMES:
            if isinstance(error, kind):
                return outcome, str(error)
        return "failed", repr(error)
