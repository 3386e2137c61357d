"""`agent-sessions check`, run as a user runs it."""

import asyncio
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager, Settings
from tests.support.cli import run_cli, run_on_terminal
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions


@pytest.fixture
def settings(server: RedisServer, namespace: str) -> Settings:
    return Settings(redis_url=server.url(), namespace=namespace)


@pytest.fixture
def named(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(include={"redis_url", "namespace"})


async def test_damage_is_shown_repaired_and_then_gone(
    manager: SessionManager, raw: redis.Redis, named: dict[str, Any]
) -> None:
    [session] = await create_sessions(manager, 1)
    assert (await asyncio.to_thread(run_cli, "check", **named)).status == 0
    keys = manager._context.partitions.home
    raw.hset(keys.session(session.session_id), "size", 77)
    raw.persist(keys.user_index("ann"))

    found = await asyncio.to_thread(run_cli, "check", "--limit", "1", **named)
    assert found.status == 1
    assert "1 more finding; raise --limit to see all." in found.out
    assert "2 problems. To repair them: agent-sessions check --repair" in found.out
    repaired = await asyncio.to_thread(run_cli, "check", "--repair", **named)
    assert (repaired.status, "2 problems repaired." in repaired.out) == (0, True)
    assert "size is 77 instead of 0" in repaired.out
    clean = await asyncio.to_thread(run_on_terminal, "check", **named)
    assert (clean.status, "no problems." in clean.out) == (0, True)


async def test_damage_that_is_left_fails_the_command(
    manager: SessionManager, raw: redis.Redis, namespace: str, named: dict[str, Any]
) -> None:
    [session] = await create_sessions(manager, 1)
    raw.hset(manager._context.partitions.home.session(session.session_id), "created", "once")
    raw.set(f"{namespace}:\x1b[2J", 1, ex=60)
    ended = await asyncio.to_thread(run_cli, "check", "--repair", "--json", **named)
    document = ended.document()
    assert (ended.status, document["left"], document["repaired"]) == (1, 2, 0)
    assert document["counts"] == {"corrupt": 1, "unknown": 1}
    assert {finding["damage"] for finding in document["findings"]} == {"corrupt", "unknown"}
    shown = await asyncio.to_thread(run_cli, "check", **named)
    assert "\x1b" not in shown.out


async def test_ctrl_c_ends_the_check_at_once(manager: SessionManager, named: dict[str, Any]) -> None:
    for user in range(20):
        await create_sessions(manager, 100, f"user_{user}")
    ended = await asyncio.to_thread(
        run_on_terminal, "check", "--repair", when="keys", types=b"\x03", **named, batch_target_ms=0.01
    )
    assert ended.status == 130
    assert ended.out.endswith("Interrupted.\n")
    assert await manager.get_active_session_count() == 2_000
