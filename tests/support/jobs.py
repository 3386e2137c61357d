"""Short cuts to jobs that tests begin from."""

import secrets
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobProgress, Receipt, Slice, Sweep
from agent_runtime.manager.jobs.request import JobRequest
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.scripts.jobs import NOWHERE
from tests.support.wait_until import HANG_SECONDS, wait_until

if TYPE_CHECKING:
    from agent_runtime.tasks import Job


async def open_sweep(manager: SessionManager, job_id: str | None = None, *, join: bool = False) -> str:
    """Open a sweep, and return its id."""
    return (await manager.jobs.open(Sweep(), JobRequest.checked(job_id), join=join)).job_id


async def open_pruning(manager: SessionManager, *, join: bool = False, **policy: Any) -> str:
    """Open a pruning, and return its id."""
    return (await manager.jobs.open(manager.jobs.pruning(**policy), join=join)).job_id


def steps_of(manager: SessionManager, slice_: Slice) -> AsyncGenerator[Any]:
    """Work on a slice that was published."""
    return manager.jobs.steps(slice_.job_id, slice_.shard, slice_.number)


async def refuse_a_batch(manager: SessionManager, job_id: str, reason: str = "refused") -> str:
    """Let a slice end as if the server had refused a batch, once too often. Return the job's state then."""
    keys, token = (await manager.jobs.read(job_id)).home.keys, secrets.token_hex(8)
    mine: dict[str, Any] = {"shard": 0, "token": token}
    await scripts.begin_slice(
        manager._context.client, keys, job_id, number=None, silence_ms=0, elsewhere=NOWHERE, **mine
    )
    fields = await scripts.end_slice(
        manager._context.client, keys, job_id, reason=reason, max_attempts=1, retention_ms=3_600_000, **mine
    )
    return fields["state"]


async def work_off(manager: SessionManager, job_id: str) -> int:
    """Do all the work of a job here, and return what it has removed."""
    return (await manager.jobs.run(job_id)).removed


async def finished(job: "Job") -> JobProgress:
    """Return the job's final progress, as `job.wait()` does, however busy the machine is."""
    seen: list[JobProgress] = []

    async def has_ended() -> bool:
        seen.append(await job.progress())
        return seen[-1].state.ended

    await wait_until(has_ended, description=f"{job} to end", progress=lambda: seen[-1:])
    return await job.wait(timeout=HANG_SECONDS)


async def make_due(manager: SessionManager, raw: redis.Redis, job_id: str) -> None:
    """End the grace of a job, by its record, without waiting for it."""
    home = (await manager.jobs.read(job_id)).home.keys
    raw.hset(home.job(job_id), "due", 1)
    raw.zadd(home.jobs, {job_id: 1}, xx=True)


async def receipts_of(manager: SessionManager) -> list[Receipt]:
    """The whole chain, oldest first."""
    return [receipt async for receipt in manager.jobs.receipts.all()]
