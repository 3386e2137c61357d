"""A cancelled caller is over at once, and no other caller notices."""

import asyncio
from typing import Any

import pytest

from agent_runtime.manager import SessionManager
from tests.support.proxy import Proxy
from tests.support.sessions import create_sessions
from tests.support.stopwatch import Stopwatch
from tests.support.wait_until import wait_until

#: Longest for which a cancelled call may go on, seconds. Replies are held for longer.
AT_ONCE = 0.5


async def test_cancelling_half_of_many_calls_shifts_no_reply(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy
) -> None:
    sessions = await create_sessions(manager, 100)
    proxy.hold_replies()
    calls = proxy.calls
    reading = [asyncio.create_task(proxied.get_session(session.session_id)) for session in sessions]
    await wait_until(lambda: proxy.calls > calls, description="the calls were sent")
    with Stopwatch() as watch:
        for task in reading[::2]:
            task.cancel()
        await asyncio.wait(reading[::2], timeout=30)
    assert watch.seconds < AT_ONCE
    assert all(task.cancelled() for task in reading[::2])
    proxy.release_replies()
    assert await asyncio.gather(*reading[1::2]) == sessions[1::2]
    assert await asyncio.gather(*(proxied.get_session(each.session_id) for each in sessions)) == sessions


@pytest.mark.parametrize("call", ["create_session", "save_checkpoint", "list_sessions", "run"])
async def test_each_kind_of_call_is_over_at_once(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy, call: str
) -> None:
    session = await manager.create_session("ann", "bot")
    job_id = await manager.revoke_agent_sessions("other")
    await proxied.save_checkpoint(session.session_id, {})
    proxy.hold_replies()
    calls = proxy.calls
    task: asyncio.Task[Any] = asyncio.create_task(
        {
            "create_session": lambda: proxied.create_session("bob", "bot"),
            "save_checkpoint": lambda: proxied.save_checkpoint(session.session_id, {}),
            "list_sessions": lambda: proxied.get_sessions_by_user("ann"),
            "run": lambda: proxied.jobs.run(job_id),
        }[call]()
    )
    await wait_until(lambda: proxy.calls > calls, description="the call was sent")
    with Stopwatch() as watch:
        task.cancel()
        await asyncio.wait([task], timeout=30)
    assert watch.seconds < AT_ONCE
    assert task.cancelled()
    proxy.release_replies()
    assert await proxied.get_sessions_by_user("ann") == [session]


async def test_a_call_cancelled_before_it_left_is_never_made(
    proxied: SessionManager, manager: SessionManager
) -> None:
    async def create_and_be_cancelled() -> None:
        creating = asyncio.ensure_future(proxied.create_session("ann", "bot"))
        await asyncio.sleep(0)
        creating.cancel()
        await asyncio.wait([creating])
        assert creating.cancelled()

    on_its_way = asyncio.ensure_future(proxied.session_exists("sess_1"))
    await asyncio.gather(*(create_and_be_cancelled() for _ in range(10)))
    # A call that leaves in the same tick as its cancellation may still be made; most are not.
    await on_its_way
    assert await manager.get_active_session_count("ann") == 0


async def test_a_timeout_of_the_callers_own_ends_the_call(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy
) -> None:
    session = await manager.create_session("ann", "bot")
    proxy.hold_replies()
    with Stopwatch() as watch, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await proxied.get_session(session.session_id)
    assert watch.seconds < 0.05 + AT_ONCE
    proxy.release_replies()
    assert await proxied.get_session(session.session_id) == session


async def test_loops_of_calls_can_be_cancelled(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")

    async def read_for_ever() -> None:
        while True:
            await manager.get_session(session.session_id)

    for _ in range(5):
        tasks = [asyncio.create_task(read_for_ever()) for _ in range(25)]
        await asyncio.sleep(0.02)
        for task in tasks:
            task.cancel()
        _, running = await asyncio.wait(tasks, timeout=5)
        assert not running
        assert all(task.cancelled() for task in tasks)
    assert await manager.get_session(session.session_id) == session


async def test_cancelled_callers_do_not_end_the_batch_of_the_others(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy
) -> None:
    proxy.hold_replies()
    calls = proxy.calls
    creating = [asyncio.create_task(proxied.create_session("ann", "bot", {"n": n})) for n in range(10)]
    await wait_until(lambda: proxy.calls > calls, description="the calls were sent")
    creating[0].cancel()
    proxy.release_replies()
    kept = await asyncio.gather(*creating[1:])
    assert [session.metadata["n"] for session in kept] == list(range(1, 10))
    assert len(await manager.get_sessions_by_user("ann")) == 10  # calls that were sent are done
