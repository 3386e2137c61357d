"""Callers that never stop: they create sessions and have them deleted, and know what must come of it."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import NamedTuple, Self

from agent_runtime.manager import Session, SessionManager, StoreError, StoreOutcomeUnknownError
from agent_runtime.manager.jobs import EnqueueError
from agent_runtime.tasks import Job, SessionJobs
from tests.support.jobs import finished, receipts_of

_USERS_AT_ONCE, _SESSIONS_OF_A_USER = 3, 20
_PAUSE_SECONDS = 0.15


class _Asked(NamedTuple):
    """A deletion that was asked for, and how many sessions it must remove."""

    job_id: str
    at_least: int
    at_most: int


class Callers:
    """They work while the block runs; `check` then tells whether all that they were told is true.

    Each user's sessions are deleted; one session beside them, with the same agent, is kept.
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        self._jobs = SessionJobs(manager)
        self._asked: list[_Asked] = []
        self._kept: list[Session] = []
        self._unknown = 0
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._working = [asyncio.create_task(self._work(number)) for number in range(_USERS_AT_ONCE)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._working)

    @property
    def deletions(self) -> int:
        """How many they have asked for."""
        return len(self._asked)

    async def check(self) -> None:
        """Every deletion ended once with the right count; what nobody deleted is there."""
        assert self._asked
        patient = self._manager.settings.model_copy(update={"call_timeout_seconds": 30})
        async with SessionManager.from_settings(patient) as manager:
            await self._check_deletions(manager)
            found = await asyncio.gather(*(manager.get_session(each.session_id) for each in self._kept))
            assert found == self._kept
            total = await manager.get_active_session_count()
            assert len(self._kept) <= total <= len(self._kept) + self._unknown

    async def _check_deletions(self, manager: SessionManager) -> None:
        jobs = SessionJobs(manager)
        for job_id, at_least, at_most in self._asked:
            progress = await finished(jobs.get(job_id))
            assert at_least <= progress.removed <= at_most, progress
        asked = [each.job_id for each in self._asked]
        receipts = [each for each in await receipts_of(manager) if each.job_id in set(asked)]
        assert Counter(receipt.job_id for receipt in receipts) == Counter(asked)
        assert sum(receipt.residue.sessions for receipt in receipts) == 0
        assert (await manager.jobs.receipts.verify()).problems == []

    async def _work(self, caller: int) -> None:
        visit = 0
        while not self._stopping:
            visit += 1
            await self._visit(f"user_{caller}_{visit}")
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _visit(self, user: str) -> None:
        creating = [self._manager.create_session(user, "bot") for _ in range(_SESSIONS_OF_A_USER)]
        answers = await asyncio.gather(
            *creating, self._manager.create_session("kept", "bot"), return_exceptions=True
        )
        *deleted, kept = answers
        if isinstance(kept, Session):
            self._kept.append(kept)
        self._unknown += isinstance(kept, StoreOutcomeUnknownError)
        created = sum(isinstance(each, Session) for each in deleted)
        unknown = sum(isinstance(each, StoreOutcomeUnknownError) for each in deleted)
        assert all(isinstance(each, Session | StoreError) for each in answers), answers
        job = await self._ask_until_answered(user)
        self._asked.append(_Asked(job.id, created, created + unknown))

    async def _ask_until_answered(self, user: str) -> Job:
        """As a caller must who was not answered: again, with the same key."""
        while True:
            with suppress(StoreError):
                try:
                    return await self._jobs.delete_user_sessions(user, idempotency_key=user)
                except EnqueueError as error:
                    return self._jobs.get(error.job_id)
            await asyncio.sleep(_PAUSE_SECONDS)
