"""Short cuts to jobs that tests begin from."""

from typing import TYPE_CHECKING, Any

import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobProgress, Receipt
from agent_runtime.manager.jobs.request import JobRequest
from agent_runtime.manager.jobs.spec import JobSpec
from tests.support.wait_until import HANG_SECONDS, wait_until

if TYPE_CHECKING:
    from agent_runtime.tasks import Job


async def open_sweep(manager: SessionManager, job_id: str | None = None, *, join: bool = False) -> str:
    """Id of a sweep that is in the ledger."""
    return (await manager.jobs.open(JobSpec.sweep(), JobRequest.checked(job_id), join=join)).job_id


async def open_pruning(manager: SessionManager, *, join: bool = False, **policy: Any) -> str:
    """Id of a pruning that is in the ledger."""
    return (await manager.jobs.open(manager.jobs.pruning(**policy), join=join)).job_id


async def work_off(manager: SessionManager, job_id: str) -> int:
    """What a job has removed, once all its work is done here."""
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
    """Has the grace of a job end, by its record, without waiting for it."""
    home = (await manager.jobs.read(job_id)).home.keys
    raw.hset(home.job(job_id), "due", 1)
    raw.zadd(home.jobs, {job_id: 1}, xx=True)


async def receipts_of(manager: SessionManager) -> list[Receipt]:
    """The whole chain, oldest first."""
    return [receipt async for receipt in manager.jobs.receipts.all()]
