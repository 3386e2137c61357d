"""What encryption costs: the same calls with keys and without, in one run."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import redis

from benchmarks.bench import POOL_SIZE, Bench, conversation
from benchmarks.timing import Comparison, Work, alternate, calls
from manager import SessionManager, Settings

_BYTES = 2_048
_KEYS = json.dumps({"k1": base64.b64encode(bytes(range(32))).decode()})

_Call = Callable[[SessionManager, str], Awaitable[Any]]


async def encryption_cases(bench: Bench) -> AsyncIterator[Comparison]:
    """`save_checkpoint` and `get_latest_checkpoint` of 2 KB. The users' keys lie on the same server."""
    data = conversation(_BYTES)

    async def save(manager: SessionManager, session_id: str) -> None:
        await manager.save_checkpoint(session_id, data)

    async def latest(manager: SessionManager, session_id: str) -> None:
        await manager.get_latest_checkpoint(session_id)

    for kind, changes in (("encrypted", {}), ("under users' keys", {"user_keys_url": bench.server.url})):
        async with _keyed(bench, **changes) as keyed:
            for width in (1, 100):
                for name, call in (("save_checkpoint", save), ("get_latest_checkpoint", latest)):
                    yield await _compared(bench, keyed, f"{name} 2 KB {kind}", call, width)
        bench.server.clean()


def _keyed(bench: Bench, **changes: str) -> SessionManager:
    plain = bench.manager
    settings = Settings(**plain.settings.model_dump() | {"encryption_keys": _KEYS} | changes)
    conn = redis.Redis.from_url(bench.server.url, max_connections=POOL_SIZE)
    return SessionManager(conn, plain.ttl, plain.max_sessions, settings=settings)


async def _compared(bench: Bench, keyed: SessionManager, case: str, call: _Call, width: int) -> Comparison:
    count = bench.sizes.sequential_calls if width == 1 else bench.sizes.gathered_calls

    async def side(manager: SessionManager) -> Work:
        session = await manager.create_session("user", "chatbot", {"tier": "premium"})
        await manager.save_checkpoint(session.session_id, conversation(_BYTES))
        return calls(partial(call, manager), [session.session_id] * count, width)

    sides = [partial(side, bench.manager), partial(side, keyed)]
    plain_seconds, keyed_seconds = await alternate(bench.sizes.rounds, sides)
    named = "in turn" if width == 1 else f"{width} gathered"
    return Comparison(f"{case}, {named}", "without keys", "calls", count, plain_seconds, keyed_seconds)
