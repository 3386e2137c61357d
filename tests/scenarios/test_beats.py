"""Beat runs twice, or stands still, or ticks while no worker listens."""

import asyncio
import time
from typing import Any

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobKind
from agent_runtime.tasks import SessionJobs
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire
from tests.support.wait_until import wait_until

_PERIOD_SECONDS = 0.5
_PERIODS = 6


def _beat(settings: dict[str, Any], **changes: Any) -> CeleryProcess:
    return CeleryProcess("beat", "--loglevel", "INFO", ready="is starting.", **{**settings, **changes})


def _sweeps_sent(beat: CeleryProcess) -> int:
    return beat.log().count("tasks.cleanup_expired_sessions")


async def test_two_beats_sweep_each_session_once(
    manager: SessionManager, process_settings: dict[str, Any]
) -> None:
    settings = {**process_settings, "sweep_interval_seconds": _PERIOD_SECONDS}
    swept, kept = 0, await create_sessions(manager, 5, "bob")
    with celery_worker(**settings), _beat(settings) as first, _beat(settings) as second:
        for _ in range(_PERIODS):
            await let_expire(manager, *await create_sessions(manager, 20))
            swept += 20

            async def all_swept(expected: int = swept) -> bool:
                sweeps = (await SessionJobs(manager).list(kind=JobKind.SWEEP, limit=1_000)).jobs
                return sum(sweep.removed for sweep in sweeps) >= expected

            await wait_until(all_swept, description="the sweep")
        for beat in (first, second):
            await wait_until(lambda beat=beat: _sweeps_sent(beat) > 2, description="each to have ticked")
    sweeps = (await SessionJobs(manager).list(kind=JobKind.SWEEP, limit=1_000)).jobs
    assert sum(sweep.removed for sweep in sweeps) == swept
    assert await manager.get_sessions_by_user("bob") == kept


async def test_a_beat_that_stood_still_catches_up_with_one_tick(
    server: RedisServer, process_settings: dict[str, Any]
) -> None:
    settings = {**process_settings, "resume_interval_seconds": _PERIOD_SECONDS}
    with server.client(db=1) as broker, _beat(settings) as beat:
        await wait_until(lambda: broker.llen("maintenance"), description="a tick")
        beat.freeze()
        before = broker.llen("maintenance")
        await asyncio.sleep(_PERIODS * _PERIOD_SECONDS)
        started = time.monotonic()
        beat.thaw()
        await wait_until(lambda: broker.llen("maintenance") > before, description="a tick")
        await asyncio.sleep(2.5 * _PERIOD_SECONDS)
        ticks = broker.llen("maintenance") - before
        periods = (time.monotonic() - started) / _PERIOD_SECONDS
    assert ticks <= periods + 2


async def test_ticks_that_nobody_heard_in_time_are_void(
    manager: SessionManager, server: RedisServer, process_settings: dict[str, Any]
) -> None:
    settings = {**process_settings, "resume_interval_seconds": _PERIOD_SECONDS}
    with server.client(db=1) as broker:
        with _beat(settings):
            await wait_until(lambda: broker.llen("maintenance") >= _PERIODS, description="ticks to pile up")
        ticks = broker.llen("maintenance")
        await asyncio.sleep(_PERIOD_SECONDS)
        with celery_worker(**settings) as worker:
            await wait_until(
                lambda: worker.log().count("Discarding revoked task") >= ticks,
                description="them to be discarded",
            )
            assert "succeeded" not in worker.log()
