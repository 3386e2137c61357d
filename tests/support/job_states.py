"""The states of a job and what leads from one to the next, found out by trying everything on a real server.

`python -m tests.support.job_states` writes the diagram into docs/architecture.md.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

import redis

from agent_runtime.manager import CorruptDataError, SessionManager, Settings
from agent_runtime.manager.jobs import JobProgress, JobState, JobStateError
from tests.support.jobs import make_due
from tests.support.processes import ROOT
from tests.support.redis_server import RedisServer

PAGE = ROOT / "docs" / "architecture.md"

#: Between these lines the page has the diagram.
_BEGIN, _END = "<!-- states of a job: begin -->\n", "<!-- states of a job: end -->"

#: Longer than any test runs, seconds.
_GRACE_SECONDS = 3600

#: Refusals of a batch in a row that make a job fail.
REFUSALS = 2

_AT_WORK = (JobState.RUNNING, JobState.UNDOING)


class Situation(NamedTuple):
    """All of a job that decides what may happen to it next."""

    state: JobState
    #: A worker has begun to reclaim its sessions.
    begun: bool
    #: It has not begun because its grace is not over.
    waits: bool
    #: It has been told to undo.
    undo: bool


class _Trial:
    """One deletion of a user's sessions to which things happen."""

    def __init__(self, manager: SessionManager, raw: redis.Redis, user_id: str) -> None:
        self._manager = manager
        self._raw = raw
        self._user_id = user_id
        self._job_id = ""
        self._undo = False

    async def request(self, grace: float = 0) -> None:
        """Request the deletion, for the first time or again."""
        first = not self._job_id
        if first:
            await self._manager.create_session(self._user_id, "bot")
        with suppress(JobStateError):
            job_id = await self._manager.revoke_user_sessions(self._user_id, grace=grace)
            self._job_id = job_id if first else self._job_id

    async def control(self, action: str) -> None:
        """Tell the job to pause, resume, cancel or undo, if its state allows that."""
        with suppress(JobStateError):
            await self._manager.jobs.control(self._job_id, action)
            self._undo = self._undo or action == "undo"

    async def end_grace(self) -> None:
        """Let the grace be over, if there is one."""
        if (await self._progress()).due_at is not None:
            await make_due(self._manager, self._raw, self._job_id)

    async def begin(self) -> None:
        """Let a worker take the job up and stop before its first batch."""
        steps = self._manager.jobs.steps(self._job_id)
        async for _ in steps:
            break
        await steps.aclose()

    async def complete(self) -> None:
        """Let the worker that has begun do all that is left."""
        if (await self._progress()).state in _AT_WORK:
            await self._manager.jobs.run(self._job_id)

    async def refuse(self) -> None:
        """Let the server refuse the batches of the workers that begin: their key has another type."""
        if (await self._progress()).state not in _AT_WORK:
            return
        (revoked,) = self._raw.scan_iter(match=f"*:{self._job_id}:*", _type="zset")
        aside = revoked + b":aside"
        self._raw.rename(revoked, aside)
        self._raw.set(revoked, "of another type", ex=60)
        for _ in range(REFUSALS):
            with suppress(CorruptDataError):
                await self._manager.jobs.run(self._job_id)
        self._raw.rename(aside, revoked)

    async def situation(self) -> Situation:
        """Return what the job is like now."""
        progress = await self._progress()
        begun = progress.started_at is not None
        waits = not begun and not self._undo and (progress.due_at or datetime.now(UTC)) > datetime.now(UTC)
        return Situation(progress.state, begun, waits, self._undo)

    async def _progress(self) -> JobProgress:
        return await self._manager.jobs.progress(self._job_id)


#: What a job begins with, and what may happen to one.
_BEGINNINGS: dict[str, Callable[[_Trial], Awaitable[None]]] = {
    "requested": lambda trial: trial.request(),
    "requested with a grace": lambda trial: trial.request(_GRACE_SECONDS),
}
_EVENTS: dict[str, Callable[[_Trial], Awaitable[None]]] = {
    "a worker begins": _Trial.begin,
    "nothing is left to do": _Trial.complete,
    "max_attempts attempts in a row come to nothing": _Trial.refuse,
    "pause": lambda trial: trial.control("pause"),
    "resume": lambda trial: trial.control("resume"),
    "cancel": lambda trial: trial.control("cancel"),
    "undo": lambda trial: trial.control("undo"),
    "the grace ends": _Trial.end_grace,
    "requested again": lambda trial: trial.request(),
    "requested again with a grace": lambda trial: trial.request(_GRACE_SECONDS),
}

#: What may tell the situations of a state in which something happens from those in which it does not.
_CONDITIONS: dict[str, Callable[[Situation], bool]] = {
    "": lambda situation: True,
    "if it was undoing": lambda situation: situation.undo,
    "if it was not undoing": lambda situation: not situation.undo,
    "if it has not begun": lambda situation: not situation.begun,
    "if it has begun": lambda situation: situation.begun,
    "within the grace": lambda situation: situation.waits,
    "if no grace is left": lambda situation: not situation.waits,
}


class Observed(NamedTuple):
    """Every situation that a job can come into, and where each event leads from there."""

    beginnings: dict[str, Situation]
    after: dict[Situation, dict[str, Situation]]


async def observe(manager: SessionManager, raw: redis.Redis) -> Observed:
    """Try every event in every situation that a deletion can come into.

    Args:
        manager: whose jobs fail after `REFUSALS` refused batches.
        raw: a client of the same server.
    """
    paths: dict[Situation, tuple[str, ...]] = {}
    after: dict[Situation, dict[str, Situation]] = defaultdict(dict)
    users = (f"user_{number}" for number in range(100_000))

    async def try_path(*path: str) -> Situation:
        trial = _Trial(manager, raw, next(users))
        for event in path:
            await (_BEGINNINGS | _EVENTS)[event](trial)
        situation = await trial.situation()
        paths.setdefault(situation, path)
        return situation

    beginnings = {event: await try_path(event) for event in _BEGINNINGS}
    while untried := paths.keys() - after.keys():
        for situation in sorted(untried):
            for event in _EVENTS:
                after[situation][event] = await try_path(*paths[situation], event)
    return Observed(beginnings, dict(after))


def diagram(observed: Observed) -> str:
    """Return the states and what leads from one to another, as a Mermaid state diagram."""
    lines = [f"[*] --> {situation.state}: {event}" for event, situation in observed.beginnings.items()]
    for before in JobState:
        for after in JobState:
            if before is not after and (label := _label(observed, before, after)):
                lines.append(f"{before} --> {after}: {label}")
    return "\n    ".join(["stateDiagram-v2", *lines]) + "\n"


def _label(observed: Observed, before: JobState, after: JobState) -> str:
    """What leads from one state to another, and under which condition; "" if nothing does."""
    situations = {each for each in observed.after if each.state is before}
    events: dict[str, list[str]] = defaultdict(list)
    for event in _EVENTS:
        among = {each for each in situations if observed.after[each][event].state is after}
        if among:
            events[_condition(among, situations)].append(event)
    return ", ".join(f"{_joined(each)} {condition}".strip() for condition, each in events.items())


def _condition(among: set[Situation], situations: set[Situation]) -> str:
    for words, holds in _CONDITIONS.items():
        if among == {each for each in situations if holds(each)}:
            return words
    raise ValueError(f"no condition tells {sorted(among)} from {sorted(situations - among)}")


def _joined(events: list[str]) -> str:
    """The events by name. What happens with a grace and without one is named once."""
    with_grace = {f"{event} with a grace" for event in events}
    return " or ".join(event for event in events if event not in with_grace)


def page(text: str, drawn: str) -> str:
    """Return the page with this diagram in it."""
    return re.sub(
        f"{_BEGIN}.*{_END}", lambda _: f"{_BEGIN}```mermaid\n{drawn}```\n{_END}", text, flags=re.DOTALL
    )


async def _observe_on_a_new_server() -> Observed:
    with RedisServer() as server, server.client() as raw:
        settings = Settings(redis_url=server.url(), max_attempts=REFUSALS)
        async with SessionManager.from_settings(settings) as manager:
            return await observe(manager, raw)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), diagram(asyncio.run(_observe_on_a_new_server()))))
