"""The server goes away, stops answering, cuts, forgets or is full, while callers and workers are at work."""

import asyncio
import time
from collections.abc import Callable

import pytest

from manager import SessionManager, StoreError
from tests.support.callers import Callers
from tests.support.processes import CeleryProcess
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until

#: Longer than any time-out of Celery's connections (5 s), seconds.
_LONG = 6


async def until_asked(callers: Callers, more: int) -> None:
    """Returns once the callers have asked for so many more deletions."""
    enough = callers.deletions + more
    await wait_until(lambda: callers.deletions >= enough, description="more deletions", timeout=60)


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_restarts_in_the_midst_of_work_cost_nothing(
    impatient: SessionManager, server: RedisServer, worker: CeleryProcess, beat: CeleryProcess, how: str
) -> None:
    async with Callers(impatient) as callers:
        for _ in range(3):
            await until_asked(callers, 10)
            await asyncio.to_thread(getattr(server, how))
            await asyncio.to_thread(server.start)
        await until_asked(callers, 3)
    await callers.check()
    assert worker.running
    assert beat.running


@pytest.mark.parametrize(("break_", "mend"), [("stop", "start"), ("freeze", "thaw")])
async def test_a_server_away_for_long_is_said_in_time_and_all_are_back_with_it(
    impatient: SessionManager,
    server: RedisServer,
    worker: CeleryProcess,
    beat: CeleryProcess,
    break_: str,
    mend: str,
) -> None:
    longest = 0.0
    async with Callers(impatient) as callers:
        await until_asked(callers, 10)
        getattr(server, break_)()
        ends_at = time.monotonic() + _LONG
        while time.monotonic() < ends_at:
            started = time.monotonic()
            with pytest.raises(StoreError):
                await impatient.get_session("sess_1")
            longest = max(longest, time.monotonic() - started)
            await asyncio.sleep(0.1)
        await asyncio.to_thread(getattr(server, mend))
        await until_asked(callers, 10)
    assert longest < _LONG / 2  # it is the time-out of half a second that ended them, and no other
    await callers.check()
    assert worker.running
    assert beat.running
