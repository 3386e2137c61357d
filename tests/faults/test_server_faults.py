"""The server forgets its scripts, restarts, dies or freezes: calls end soon, and say what is known."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
import redis.asyncio as aredis

from agent_runtime.manager import (
    Session,
    SessionManager,
    StoreError,
    StoreOutcomeUnknownError,
    StoreUnavailableError,
)
from tests.manager.test_batches import OPERATIONS
from tests.support.clients import close, connections_of
from tests.support.redis_server import RedisServer, free_port
from tests.support.sessions import create_sessions, save_turns, turns
from tests.support.stopwatch import Stopwatch
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]

#: Time that a call may take beyond its limit, seconds.
SLACK = 1.0


async def _timed(work: Awaitable[Any]) -> tuple[Any, float]:
    """Return the answer or error, and the duration in seconds."""
    with Stopwatch() as watch:
        [answer] = await asyncio.gather(work, return_exceptions=True)
    return answer, watch.seconds


@pytest.mark.parametrize("name", OPERATIONS)
async def test_scripts_that_the_server_forgot_are_given_again(
    open_manager: Opener, breakable: RedisServer, name: str
) -> None:
    manager = open_manager(redis_url=breakable.url())
    session = await manager.create_session("ann", "bot")
    checkpoint_id = await manager.save_checkpoint(session.session_id, {})
    with breakable.client() as client:
        client.script_flush()
    assert await OPERATIONS[name](manager, session, checkpoint_id)


async def test_scripts_forgotten_while_many_calls_are_made_harm_none(fragile: SessionManager) -> None:
    conn = aredis.Redis.from_url(fragile.settings.redis_url)

    async def talk(user: int) -> Session | None:
        session = await fragile.create_session(f"user_{user}", "bot")
        await save_turns(fragile, session.session_id, 3)
        return await fragile.get_session(session.session_id)

    async def forget() -> None:
        for _ in range(20):
            await conn.script_flush()
            await asyncio.sleep(0.002)

    *found, _ = await asyncio.gather(*(talk(user) for user in range(100)), forget())
    assert all(found)
    assert await fragile.get_active_session_count() == 100
    await conn.aclose()


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_after_a_restart_everything_goes_on(
    fragile: SessionManager, breakable: RedisServer, how: str
) -> None:
    session = await fragile.create_session("ann", "bot", {"a": 1})
    await save_turns(fragile, session.session_id, 2)
    job_id = await fragile.revoke_agent_sessions("other")
    getattr(breakable, how)()
    breakable.start()
    assert await fragile.get_session(session.session_id) == session
    assert await turns(fragile, session.session_id) == [0, 1]
    assert (await fragile.jobs.progress(job_id)).finished
    assert await fragile.delete_user_sessions("ann") == 1


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_server_that_is_down_is_said_at_once(
    fragile: SessionManager, breakable: RedisServer, how: str
) -> None:
    session = await fragile.create_session("ann", "bot")
    getattr(breakable, how)()
    error, seconds = await _timed(fragile.get_session(session.session_id))
    assert isinstance(error, StoreUnavailableError)
    assert isinstance(error, ConnectionError)
    assert isinstance(error.__cause__, redis.ConnectionError)
    assert seconds < 0.5 + SLACK
    breakable.start()
    assert await fragile.get_session(session.session_id) == session


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
async def test_a_server_that_never_was_is_said_at_once(open_manager: Opener, cls: type) -> None:
    conn = cls(host="127.0.0.1", port=free_port())
    manager = open_manager(conn=conn)
    error, seconds = await _timed(manager.create_session("ann", "bot"))
    assert isinstance(error, StoreUnavailableError)
    assert seconds < SLACK
    await close(conn)


@pytest.mark.parametrize("connected", [True, False])
async def test_a_frozen_server_ends_every_call_within_its_time(
    impatient: SessionManager, breakable: RedisServer, connected: bool
) -> None:
    if connected:
        await _until_answered(impatient)
    breakable.freeze()
    calls = [impatient.create_session("ann", "bot") for _ in range(300)]
    started = time.monotonic()
    answers, seconds = await _timed(asyncio.gather(*calls, return_exceptions=True))
    # Without a connection, nothing can have been applied.
    expected = StoreOutcomeUnknownError if connected else StoreUnavailableError
    assert {type(answer) for answer in answers} == {expected}
    assert time.monotonic() - started > 0.4
    assert seconds < 0.5 + SLACK
    breakable.thaw()
    await _until_answered(impatient)


async def _until_answered(impatient: SessionManager) -> None:
    """Return once a call has its answer in half a second."""

    async def answers() -> bool:
        with suppress(StoreError):
            await impatient.session_exists("sess_1")
            return True
        return False

    await wait_until(answers, description="an answer in time")


async def test_a_frozen_server_ends_calls_that_could_not_even_be_sent(
    open_manager: Opener, breakable: RedisServer
) -> None:
    pool = redis.ConnectionPool(max_connections=1, host="127.0.0.1", port=breakable.port)
    manager = open_manager(conn=redis.Redis(connection_pool=pool), call_timeout_seconds=0.5)
    await _until_answered(manager)
    breakable.freeze()

    async def wave(number: int) -> list[Any]:
        await asyncio.sleep(number * 0.02)
        calls = (manager.session_exists(f"sess_{number}") for _ in range(50))
        return await asyncio.gather(*calls, return_exceptions=True)

    answers, seconds = await _timed(asyncio.gather(*(wave(number) for number in range(5))))
    assert {isinstance(answer, StoreError) for wave in answers for answer in wave} == {True}
    assert seconds < 1.1 + SLACK  # the time of the first batch, and that of the second
    breakable.thaw()
    await _until_answered(manager)


async def test_a_short_freeze_is_only_a_delay(fragile: SessionManager, breakable: RedisServer) -> None:
    session = await fragile.create_session("ann", "bot")
    breakable.freeze()
    asyncio.get_running_loop().call_later(0.1, breakable.thaw)
    assert await fragile.get_session(session.session_id) == session


@pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])
async def test_connections_that_the_server_closed_are_replaced(
    open_manager: Opener, server: RedisServer, raw: redis.Redis, namespace: str, cls: type
) -> None:
    conn = cls(host="127.0.0.1", port=server.port, client_name=namespace)
    manager = open_manager(conn=conn)
    for number in range(1, 6):
        await create_sessions(manager, 5)
        for each in connections_of(raw, namespace):
            raw.client_kill_filter(_id=each["id"])
        assert await manager.get_active_session_count() == 5 * number
    await manager.aclose()
    await close(conn)


async def test_what_was_answered_before_a_crash_is_there_after_it(
    fragile: SessionManager, breakable: RedisServer
) -> None:
    created: set[str] = set()

    async def create(user_id: str) -> None:
        while True:
            created.add((await fragile.create_session(user_id, "bot")).session_id)

    creating = [asyncio.create_task(create(f"user_{number}")) for number in range(30)]
    await wait_until(lambda: created, description="the first answers")
    breakable.kill()
    failed = await asyncio.gather(*creating, return_exceptions=True)
    assert all(isinstance(error, StoreUnavailableError | StoreOutcomeUnknownError) for error in failed)
    breakable.start()
    found = {session.session_id for session in await fragile.get_sessions_by_agent("bot")}
    assert created <= found
    unknown = sum(isinstance(error, StoreOutcomeUnknownError) for error in failed)
    assert len(found - created) <= unknown


async def test_a_job_survives_the_death_of_the_server(open_manager: Opener, breakable: RedisServer) -> None:
    manager = open_manager(redis_url=breakable.url(), slice_seconds=0.01, batch_target_ms=0.001)
    await create_sessions(manager, 1000)
    job_id = await manager.revoke_user_sessions("ann")
    progress = await manager.jobs.run_slice(job_id)
    while not progress.finished:
        breakable.kill()
        breakable.start()
        assert (await manager.jobs.progress(job_id)).removed == progress.removed
        progress = await manager.jobs.run_slice(job_id)
    assert progress.removed == 1000


async def test_a_process_that_was_busy_itself_takes_no_answer_for_lost(
    open_manager: Opener, server: RedisServer
) -> None:
    """Answers that came in time, and are more than one read of the socket takes, count as received.

    A megabyte is more than one read takes, and fits into the buffers of the kernel. So a server that shares
    the processor with much else has sent all of it in time.
    """
    manager = open_manager(call_timeout_seconds=1, compress_above_bytes=10**9, dedupe_above_bytes=10**9)
    session = await manager.create_session("ann", "bot")
    checkpoint_id = await manager.save_checkpoint(session.session_id, {"text": "x" * 50_000})
    reads = [
        asyncio.ensure_future(manager.get_checkpoint(session.session_id, checkpoint_id)) for _ in range(20)
    ]
    for _ in range(3):
        await asyncio.sleep(0)  # sent by now
    time.sleep(1.5)  # noqa: ASYNC251  (a caller that computes within the event loop does this)
    assert all(await asyncio.gather(*reads))
