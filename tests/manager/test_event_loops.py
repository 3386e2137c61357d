"""One manager serves any number of event loops, never blocks one, and keeps nothing of one that ended."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio as aredis

from agent_runtime.manager import SessionManager, Settings
from tests.support.clients import connections_of
from tests.support.redis_server import RedisServer
from tests.support.stopwatch import measured_lag
from tests.support.wait_until import wait_until_blocking

_ROOT = Path(__file__).parents[2]

#: A module-level client and several `asyncio.run` in turn, as scripts and notebooks have it.
_SCRIPT = """
import asyncio, gc, os, sys
import redis, redis.asyncio
from src.agent_runtime.session_manager import SessionManager

client = getattr(redis, "asyncio" if sys.argv[1] == "async" else "client").Redis.from_url(os.environ["URL"])
manager = SessionManager(conn=client)

async def create():
    return await asyncio.gather(*(manager.create_session(f"user_{n}", "bot") for n in range(50)))

async def read(sessions):
    return await asyncio.gather(*(manager.get_session(each.session_id) for each in sessions))

for _ in range(3):
    sessions = asyncio.run(create())
    assert asyncio.run(read(sessions)) == sessions
asyncio.run(manager.delete_agent_sessions("bot"))
gc.collect()
print("done")
"""


@pytest.fixture
def named(server: RedisServer, namespace: str, settings: Settings) -> Callable[..., SessionManager]:
    """A manager whose connections can be told from others by their name."""

    def make(cls: type = redis.Redis) -> SessionManager:
        conn = cls(host="127.0.0.1", port=server.port, client_name=namespace)
        return SessionManager(conn, settings=settings)

    return make


async def _live(manager: SessionManager, user_id: str) -> None:
    created = await asyncio.gather(*(manager.create_session(user_id, "bot") for _ in range(20)))
    assert await asyncio.gather(*(manager.get_session(each.session_id) for each in created)) == created


def _all_closed(raw: redis.Redis, namespace: str) -> bool:
    return not connections_of(raw, namespace)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_script_with_several_runs_warns_of_nothing(settings: Settings, kind: str) -> None:
    variables = {"URL": settings.redis_url, "AGENT_SESSIONS_NAMESPACE": settings.namespace}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SCRIPT, kind],
        cwd=_ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
def test_runs_in_turn_leave_no_connection_open(
    named: Callable[..., SessionManager], raw: redis.Redis, namespace: str, cls: type
) -> None:
    manager = named(cls)
    for number in range(3):
        asyncio.run(_live(manager, f"user_{number}"))
        wait_until_blocking(lambda: _all_closed(raw, namespace), description="the connections were closed")


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
def test_two_loops_in_two_threads_are_served_at_once(
    named: Callable[..., SessionManager], raw: redis.Redis, namespace: str, cls: type
) -> None:
    manager = named(cls)
    failures: list[BaseException] = []
    together = threading.Barrier(2)

    def serve(user_id: str) -> None:
        async def live() -> None:
            together.wait()
            for _ in range(10):
                await _live(manager, user_id)

        try:
            asyncio.run(live())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=serve, args=(user_id,)) for user_id in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert asyncio.run(manager.get_active_session_count()) == 400
    wait_until_blocking(lambda: _all_closed(raw, namespace), description="the connections were closed")


def test_a_loop_that_ended_is_forgotten(named: Callable[..., SessionManager]) -> None:
    manager = named()

    async def live() -> weakref.ref[asyncio.AbstractEventLoop]:
        await _live(manager, "ann")
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(live())
    gc.collect()
    assert loop() is None


async def test_closing_waits_for_the_calls_that_were_made_before(
    named: Callable[..., SessionManager], raw: redis.Redis, namespace: str
) -> None:
    manager = named()
    await manager.session_exists("sess_1")
    session, _ = await asyncio.gather(manager.create_session("ann", "bot"), manager.aclose())
    assert _all_closed(raw, namespace)
    assert await manager.session_exists(session.session_id)
    await manager.aclose()


async def _largest_lag(work: Awaitable[Any]) -> float:
    """Longest time for which the event loop did nothing else while this was awaited, seconds."""
    async with measured_lag() as lag:
        await work
    return lag.seconds


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
async def test_a_slow_server_does_not_block_the_loop(settings: Settings, cls: type) -> None:
    with RedisServer() as slow:
        async with SessionManager(cls(host="127.0.0.1", port=slow.port), settings=settings) as manager:
            await manager.session_exists("sess_1")
            slow.freeze()
            asyncio.get_running_loop().call_later(1.0, slow.thaw)
            started = time.perf_counter()
            lag = await _largest_lag(manager.session_exists("sess_1"))
            assert time.perf_counter() - started > 0.9
    assert lag < 0.6


async def test_a_client_of_another_kind_does_not_block_the_loop(settings: Settings) -> None:
    class SlowFake(fakeredis.FakeRedis):
        def pipeline(self, *args: Any, **kwargs: Any) -> Any:
            time.sleep(1.0)
            return super().pipeline(*args, **kwargs)

    async with SessionManager(SlowFake(), settings=settings) as manager:
        started = time.perf_counter()
        assert await _largest_lag(manager.create_session("ann", "bot")) < 0.6
        assert time.perf_counter() - started > 0.9


async def test_a_thousand_gathered_calls_let_others_have_their_turn(manager: SessionManager) -> None:
    async def work() -> None:
        await asyncio.gather(*(manager.create_session(f"user_{n}", "bot") for n in range(1000)))

    assert await _largest_lag(work()) < 2.0
