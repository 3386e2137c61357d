"""`agent-sessions status`, run as a user runs it."""

import asyncio
import re
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager, Settings
from tests.support.cli import Ended, run_cli
from tests.support.jobs import open_sweep
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire


@pytest.fixture
def settings(server: RedisServer, namespace: str) -> Settings:
    return Settings(redis_url=server.url(), namespace=namespace)


@pytest.fixture
def named(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(include={"redis_url", "namespace"})


async def _status(*arguments: str, **settings: Any) -> Ended:
    return await asyncio.to_thread(run_cli, "status", *arguments, **settings)


async def _age(manager: SessionManager, raw: redis.Redis, job_id: str, field: str, seconds: int) -> None:
    """Move a time in a job's record into the past."""
    raw.hincrby(manager._context.partitions.home.job(job_id), field, -1000 * seconds)


async def test_a_sweep_is_overdue_after_three_periods(
    manager: SessionManager, raw: redis.Redis, named: dict[str, Any]
) -> None:
    never = await _status(**named)
    assert (never.status, "Overdue: no sweep has ended yet." in never.out) == (1, True)

    await let_expire(manager, *await create_sessions(manager, 2))
    job_id = await open_sweep(manager)
    await manager.jobs.run(job_id)
    await open_sweep(manager)  # the last may have found nothing
    on_time = await _status(**named)
    assert (on_time.status, "Sweeps are on time." in on_time.out) == (0, True)
    assert re.search(r"interval +1 minute\b", on_time.out)

    for job in (await manager.jobs.list()).jobs:
        await _age(manager, raw, job.job_id, "finished", 200)
    late = await _status("--json", **named)
    document = late.document()
    assert (late.status, document["sweep_overdue"], document["sweep_running"]) == (1, True, False)
    assert 200 <= document["seconds_since_last_sweep"] < 300
    assert document["last_sweep"]["kind"] == "cleanup_expired_sessions"


async def test_a_sweep_at_work_is_not_overdue_however_long_it_takes(
    manager: SessionManager, raw: redis.Redis, named: dict[str, Any]
) -> None:
    await let_expire(manager, *await create_sessions(manager, 2))
    job_id = await open_sweep(manager)
    steps = manager.jobs.steps(job_id)
    await anext(steps)
    at_work = await _status(**named)
    assert (at_work.status, "a sweep is running" in at_work.out) == (0, True)

    await _age(manager, raw, job_id, "heartbeat", 50)
    left = await _status("--json", **named)
    assert (left.status, left.document()["sweep_running"]) == (1, False)
    await steps.aclose()
    await manager.jobs.run(job_id)


async def test_sweeps_that_found_nothing_are_on_record_until_the_next_ones(
    manager: SessionManager, settings: Settings, raw: redis.Redis
) -> None:
    async with SessionManager.from_settings(
        settings.model_copy(update={"sweep_interval_seconds": 7_200})
    ) as rare:
        kept = [
            raw.ttl(rare._context.partitions.home.job(await open_sweep(each))) for each in (manager, rare)
        ]
    assert 3_500 < kept[0] <= 3_600
    assert 4 * 7_200 < kept[1] <= 5 * 7_200
