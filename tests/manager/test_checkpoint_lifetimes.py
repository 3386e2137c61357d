"""A session's checkpoints live exactly as long as the session, whatever is done in whatever order."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager
from tests.support.expiry import MOMENT_MS, expiries_ms
from tests.support.talks import checkpoint_of, talk

_HISTORY = talk(12)

Step = Callable[[SessionManager, redis.Redis, str, str], Awaitable[Any]]


async def _save(manager: SessionManager, _raw: redis.Redis, session_id: str, _key: str) -> None:
    await manager.save_checkpoint(session_id, {"turn": 1})


async def _save_in_chunks(manager: SessionManager, _raw: redis.Redis, session_id: str, _key: str) -> None:
    await manager.save_checkpoint(session_id, checkpoint_of(_HISTORY, 12))


async def _refresh(manager: SessionManager, _raw: redis.Redis, session_id: str, _key: str) -> None:
    await manager.refresh_session(session_id)


async def _shorten(manager: SessionManager, _raw: redis.Redis, session_id: str, _key: str) -> None:
    await manager.update_session(session_id, expires_at=datetime.now(UTC) + timedelta(minutes=5))


async def _clear(manager: SessionManager, _raw: redis.Redis, session_id: str, _key: str) -> None:
    await manager.clear_checkpoints(session_id)


async def _evict_data(_manager: SessionManager, raw: redis.Redis, _session_id: str, key: str) -> None:
    raw.unlink(key % "c")


async def _evict_order(_manager: SessionManager, raw: redis.Redis, _session_id: str, key: str) -> None:
    raw.unlink(key % "o")


_STEPS: list[Step] = [_save, _save_in_chunks, _refresh, _shorten, _clear, _evict_data, _evict_order]


@pytest.mark.parametrize("first", _STEPS, ids=lambda step: step.__name__.strip("_"))
async def test_checkpoints_expire_with_their_session(
    manager: SessionManager, raw: redis.Redis, namespace: str, first: Step
) -> None:
    for steps in itertools.product([first], _STEPS, _STEPS, [_save, _save_in_chunks]):
        session_id = (await manager.create_session("ann", "bot")).session_id
        key = f"{namespace}:{{0}}:%s:{session_id}"
        for step in steps:
            await step(manager, raw, session_id, key)
            of_session, *of_checkpoints = expiries_ms(raw, *(key % letter for letter in "sco"))
            for each in of_checkpoints:
                assert each == -2 or abs(each - of_session) <= MOMENT_MS
        assert of_checkpoints != [-2, -2]
        assert await manager.delete_session(session_id)
