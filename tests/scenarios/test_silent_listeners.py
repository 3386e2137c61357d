"""A listener in the place of a server accepts connections and never sends a word."""

import asyncio
import socket
import threading
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from agent_runtime.manager import SessionManager, StoreUnavailableError
from agent_runtime.manager.jobs import EnqueueError
from agent_runtime.tasks import SessionJobs
from tests.support.cli import run_cli
from tests.support.processes import CeleryProcess
from tests.support.redis_server import free_port
from tests.support.sessions import create_sessions
from tests.support.stopwatch import Stopwatch, measured_lag
from tests.support.wait_until import wait_until_blocking

_PUBLISHERS = 50


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a listener that accepts every connection and sends nothing."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for connection in taken:
        connection.close()


@pytest.fixture
async def without_broker(manager: SessionManager, silent: str) -> AsyncIterator[list[SessionManager]]:
    """Two managers with different settings: managers with the same settings share what they know of the
    broker."""
    async with AsyncExitStack() as stack:
        managers = []
        for timeout in (1.0, 1.01):
            changed = manager.settings.model_copy(
                update={"broker_url": silent, "call_timeout_seconds": timeout}
            )
            managers.append(await stack.enter_async_context(SessionManager.from_settings(changed)))
        yield managers


async def _timed(work: Awaitable[Any]) -> tuple[Any, float]:
    """Return the answer or error, and the duration in seconds."""
    with Stopwatch() as watch:
        [answer] = await asyncio.gather(work, return_exceptions=True)
    return answer, watch.seconds


async def test_a_manager_says_in_its_time_that_the_store_is_away(silent: str, settings: Any) -> None:
    changed = settings.model_copy(update={"redis_url": silent, "call_timeout_seconds": 0.3})
    async with SessionManager.from_settings(changed) as manager:
        calls = [manager.create_session("ann", "bot") for _ in range(100)]
        answers, seconds = await _timed(asyncio.gather(*calls, return_exceptions=True))
    assert {type(answer) for answer in answers} == {StoreUnavailableError}
    assert seconds < 10 * 0.3


async def test_callers_hear_that_the_broker_is_silent_and_are_not_held_up(
    manager: SessionManager, without_broker: list[SessionManager]
) -> None:
    for number in range(_PUBLISHERS):
        await create_sessions(manager, 1, f"user_{number}")
    one, many = map(SessionJobs, without_broker)
    async with measured_lag() as lag:
        first, alone = await _timed(one.delete_user_sessions("user_0"))
        asking = [many.delete_user_sessions(f"user_{number}") for number in range(1, _PUBLISHERS)]
        answers, together = await _timed(asyncio.gather(*asking, return_exceptions=True))
    answers.append(first)
    assert {type(answer) for answer in answers} == {EnqueueError}
    assert await manager.get_active_session_count() == 0
    assert together < 2.5 * alone
    assert lag.seconds < alone / 4
    for answer in answers:
        assert (await manager.jobs.run(answer.job_id)).removed == 1


def test_the_command_line_says_that_the_store_is_away(silent: str) -> None:
    ended = run_cli("jobs", "list", "--json", redis_url=silent, call_timeout_seconds=0.5)
    assert (ended.status, ended.document()["kind"]) == (1, "StoreUnavailableError")


async def test_the_command_line_says_that_the_broker_is_away(
    manager: SessionManager, silent: str, process_settings: dict[str, Any]
) -> None:
    await create_sessions(manager, 3)
    asked = await asyncio.to_thread(
        run_cli, "delete-user", "ann", "--yes", "--json", **process_settings, broker_url=silent
    )
    assert (asked.status, asked.document()["enqueued"]) == (0, False)
    assert "The broker did not accept the message" in asked.err
    assert (await manager.jobs.run(asked.document()["job_id"])).removed == 3


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_a_process_whose_store_is_silent_does_not_start(silent: str, command: str) -> None:
    with CeleryProcess(command, redis_url=silent) as process:
        assert process.wait() == 1
        assert "does not answer" in process.log()


@pytest.mark.parametrize(("command", "says"), [("worker", "Cannot connect"), ("beat", "Trying again")])
def test_a_process_whose_broker_is_silent_waits_for_it_and_can_be_stopped(
    process_settings: dict[str, Any], silent: str, command: str, says: str
) -> None:
    with CeleryProcess(command, "--loglevel", "INFO", **process_settings, broker_url=silent) as process:
        wait_until_blocking(lambda: says in process.log(), description=says)
        assert process.running
        process.terminate()


def test_flower_shows_its_page_though_the_broker_is_silent(
    process_settings: dict[str, Any], silent: str
) -> None:
    port = free_port()
    flower = CeleryProcess("flower", f"--port={port}", **process_settings, broker_url=silent)
    with flower:
        wait_until_blocking(lambda: "Visit me at" in flower.log(), description="Flower")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as page:
            assert page.status == 200
        flower.terminate()
