"""What it brings and costs that checkpoints of a session share what they have in common."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import redis

from benchmarks.bench import POOL_SIZE, Bench
from benchmarks.timing import Comparison, Work, alternate, calls, reached
from manager import SessionManager, Settings
from tests.support.talks import checkpoint_of, talk

_TURNS, _SESSIONS = 50, 40
#: How often each is read.
_READS = 10
_TALK = talk(_TURNS)
#: So many times less than plain JSON in a hash.
_AIM = 15

_Call = Callable[[SessionManager, str], Awaitable[Any]]


async def sharing_cases(bench: Bench) -> AsyncIterator[Comparison]:
    """The last of some turns saved, and read, against the same manager that stores each checkpoint whole."""
    bytes_taken = await _bytes_taken(bench)
    async with _whole(bench) as whole:
        for turn in (1, 10, _TURNS):
            data = checkpoint_of(_TALK, turn)

            async def save(manager: SessionManager, session_id: str, data: Any = data) -> None:
                await manager.save_checkpoint(session_id, data)

            async def latest(manager: SessionManager, session_id: str) -> None:
                await manager.get_latest_checkpoint(session_id)

            named = f"of turn {turn}, {len(json.dumps(data)):,} bytes"
            yield await _compared(bench, whole, f"save_checkpoint {named}", save, turn - 1, 1)
            case = f"get_latest_checkpoint {named}"
            compared = await _compared(bench, whole, case, latest, turn, _READS)
            yield compared._replace(details=bytes_taken if turn == _TURNS else {})


async def _bytes_taken(bench: Bench) -> dict[str, Any]:
    """Memory of one conversation, a checkpoint for each turn, as the server tells it of all keys."""
    client, plain = bench.server.client, bench.keys.prefix + b"raw"
    [session_id] = await _sessions(bench.manager, 1, _TURNS)
    ours = [key for key in client.scan_iter(match=bench.keys.prefix + b"*", count=1000)]
    for turn in range(1, _TURNS + 1):
        client.hset(plain, f"{session_id}{turn}", json.dumps(checkpoint_of(_TALK, turn)))
    taken = sum(client.memory_usage(key, samples=0) for key in ours)
    raw = client.memory_usage(plain, samples=0)
    bench.server.clean()
    aim = f"aim {_AIM} {reached(raw >= _AIM * taken)}"
    return {"bytes": taken, "as plain JSON in a hash": raw, "times less": f"{raw / taken:.1f} ({aim})"}


def _whole(bench: Bench) -> SessionManager:
    plain = bench.manager
    settings = Settings(**plain.settings.model_dump() | {"share_above_bytes": 1 << 30})
    conn = redis.Redis.from_url(bench.server.url, max_connections=POOL_SIZE)
    return SessionManager(conn, plain.ttl, plain.max_sessions, settings=settings)


async def _sessions(manager: SessionManager, count: int, turns: int) -> list[str]:
    """Conversations of so many turns, a checkpoint for each."""
    created = await asyncio.gather(*(manager.create_session("user", "chatbot") for _ in range(count)))
    for turn in range(1, turns + 1):
        data = checkpoint_of(_TALK, turn)
        await asyncio.gather(*(manager.save_checkpoint(session.session_id, data) for session in created))
    return [session.session_id for session in created]


async def _compared(
    bench: Bench, whole: SessionManager, case: str, call: _Call, turns: int, times: int
) -> Comparison:
    """Each of some conversations, of so many turns, called for so many times."""

    async def side(manager: SessionManager) -> Work:
        return calls(partial(call, manager), await _sessions(manager, _SESSIONS, turns) * times, 1)

    sides = [partial(side, whole), partial(side, bench.manager)]
    whole_seconds, our_seconds = await alternate(bench.sizes.rounds, sides)
    bench.server.clean()
    return Comparison(case, "each stored whole", "calls", _SESSIONS * times, whole_seconds, our_seconds)
