"""`max_sessions` is never exceeded by one, whoever creates, and is reached exactly."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from agent_runtime.manager import Session, SessionLimitError, SessionManager, Settings
from tests.support.keyspace import snapshot
from tests.support.sessions import create_sessions, let_expire

Opener = Callable[..., SessionManager]

_ROOT = Path(__file__).parents[2]


async def _try_to_create(managers: list[SessionManager], count: int) -> list[Session]:
    calls = [
        managers[number % len(managers)].create_session(f"user_{number}", "bot") for number in range(count)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers} <= {Session, SessionLimitError}
    return [answer for answer in answers if isinstance(answer, Session)]


async def test_at_the_cap_creating_is_a_runtime_error_and_writes_nothing(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(max_sessions=2)
    await create_sessions(manager, 2)
    before = snapshot(raw, namespace)
    with pytest.raises(RuntimeError, match=r"2 sessions .*max_sessions"):
        await manager.create_session("bob", "other", {"a": 1})
    assert snapshot(raw, namespace) == before


async def test_gathered_creates_of_several_managers_reach_the_cap_exactly(open_manager: Opener) -> None:
    managers = [open_manager(max_sessions=100) for _ in range(3)]
    assert len(await _try_to_create(managers, 250)) == 100
    assert await managers[0].get_active_session_count() == 100


async def test_creates_of_several_processes_reach_the_cap_exactly(
    manager: SessionManager, settings: Settings
) -> None:
    environment = os.environ | {
        "AGENT_SESSIONS_REDIS_URL": settings.redis_url,
        "AGENT_SESSIONS_NAMESPACE": settings.namespace,
    }
    command = [sys.executable, "-m", "tests.support.fill_to_the_cap", "150", "200"]
    processes = [
        await asyncio.create_subprocess_exec(
            *command, cwd=_ROOT, env=environment, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    created = [int((await process.communicate())[0]) for process in processes]
    assert sum(created) == 200
    assert await manager.get_active_session_count() == 200


@pytest.mark.parametrize("end", ["expired", "deleted"])
async def test_a_session_that_ended_frees_its_place_at_once(open_manager: Opener, end: str) -> None:
    manager = open_manager(max_sessions=3)
    first, *_ = await create_sessions(manager, 3)
    if end == "expired":
        await let_expire(manager, first)
    else:
        await manager.delete_session(first.session_id)
    assert len(await _try_to_create([manager], 3)) == 1


@pytest.mark.parametrize(("partitions", "max_sessions"), [(2, 11), (4, 10), (8, 8)])
async def test_partitions_together_reach_the_cap_and_are_never_over_it(
    open_manager: Opener, partitions: int, max_sessions: int
) -> None:
    manager = open_manager(partitions=partitions, max_sessions=max_sessions)
    created = await _try_to_create([manager], 300)
    assert len(created) == max_sessions
    by_partition = [
        sum(manager._context.partitions.of_session(each.session_id).number == number for each in created)
        for number in range(partitions)
    ]
    assert max(by_partition) - min(by_partition) <= 1
    assert await manager.get_active_session_count() == max_sessions


async def test_the_cap_is_of_the_namespace_not_of_the_manager(open_manager: Opener) -> None:
    await create_sessions(open_manager(max_sessions=5), 5)
    with pytest.raises(SessionLimitError):
        await open_manager(max_sessions=4).create_session("ann", "bot")
    assert await open_manager(max_sessions=6).create_session("ann", "bot")
