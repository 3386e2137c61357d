"""The state at the end, read through the manager as a caller would, and directly from the server."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobNotFoundError, JobProgress, Receipt
from agent_runtime.tasks import SessionJobs
from tests.support.leftovers import find_leftovers

_READ_AT_ONCE = 100


@dataclass
class FoundSession:
    """A session that can be read."""

    session_id: str
    user_id: str
    agent_id: str
    metadata: dict[str, Any]
    #: Id -> data, oldest first.
    checkpoints: dict[str, Any] = field(default_factory=dict)


@dataclass
class Found:
    """Everything that the verdict looks at."""

    sessions: dict[str, FoundSession] = field(default_factory=dict)
    #: Jobs that the job store lists, and jobs that callers were told of and the job store knows.
    jobs: dict[str, JobProgress] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    #: Problems of the chain of receipts.
    chain: list[str] = field(default_factory=list)
    #: The store's own count of live sessions.
    count: int = 0
    #: Keys without TTL, ghosts, orphans, sessions that an index does not list.
    leftovers: list[str] = field(default_factory=list)


async def look(
    manager: SessionManager, client: redis.Redis, sessions: Iterable[str], jobs: Iterable[str]
) -> Found:
    """Read these sessions and jobs, and everything else. `client` gives replies as bytes."""
    namespace = manager.settings.namespace
    stored = {key.rpartition(b":")[2].decode() for key in client.scan_iter(f"{namespace}:*:s:*", count=1000)}
    found = Found(
        count=await manager.get_active_session_count(),
        receipts=[receipt async for receipt in manager.jobs.receipts.all()],
        chain=(await manager.jobs.receipts.verify()).problems,
        leftovers=find_leftovers(client, namespace),
    )
    everything = sorted({*sessions, *stored})
    for start in range(0, len(everything), _READ_AT_ONCE):
        read = (_read(manager, each) for each in everything[start : start + _READ_AT_ONCE])
        found.sessions |= {each.session_id: each for each in await asyncio.gather(*read) if each}
    told_of = [await _job(manager, job_id) for job_id in jobs]
    found.jobs = {job.job_id: job for job in [*await all_jobs(manager), *told_of] if job}
    return found


async def _read(manager: SessionManager, session_id: str) -> FoundSession | None:
    session = await manager.get_session(session_id)
    if session is None:
        return None
    listed = await manager.list_checkpoints(session_id)
    checkpoints = {each["checkpoint_id"]: each["data"] for each in listed}
    return FoundSession(session_id, session.user_id, session.agent_id, session.metadata, checkpoints)


async def all_jobs(manager: SessionManager) -> list[JobProgress]:
    """Return all jobs that the job store lists."""
    found: list[JobProgress] = []
    cursor = None
    while True:
        page = await SessionJobs(manager).list(limit=1000, cursor=cursor)
        found += page.jobs
        cursor = page.cursor
        if cursor is None:
            return found


async def _job(manager: SessionManager, job_id: str) -> JobProgress | None:
    with suppress(JobNotFoundError):
        return await manager.jobs.progress(job_id)
    return None
