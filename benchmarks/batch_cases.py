"""Compare batch calls with the same single calls gathered, and reads from memory with reads by a call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from tests.support.wait_until import wait_until

from agent_runtime.manager import CachedSessionManager, SessionManager
from benchmarks.bench import Bench, new_manager
from benchmarks.calls import AGENT, METADATA, SESSIONS, Item, live, new_items
from benchmarks.talk import conversation
from benchmarks.timing import Result, Side, Work, alternate, calls


class _Batch(NamedTuple):
    """A batch call, how one of its entries is made, and the single call for one entry."""

    name: str
    many: Callable[[SessionManager, list[Any]], Awaitable[list[Any]]]
    entry: Callable[[Item], Any]
    one: Callable[[SessionManager, Any], Awaitable[Any]]
    exists: bool = True


_DATA = conversation(2_048)
_BATCHES = [
    _Batch(
        "create_sessions",
        SessionManager.create_sessions,
        lambda item: {"user_id": item.user, "agent_id": AGENT, "metadata": METADATA},
        lambda manager, entry: manager.create_session(**entry),
        exists=False,
    ),
    _Batch(
        "get_sessions", SessionManager.get_sessions, lambda item: item.session_id, SessionManager.get_session
    ),
    _Batch(
        "delete_sessions",
        SessionManager.delete_sessions,
        lambda item: item.session_id,
        SessionManager.delete_session,
    ),
    _Batch(
        "save_checkpoints of 2 KB",
        SessionManager.save_checkpoints,
        lambda item: {"session_id": item.session_id, "data": _DATA},
        lambda manager, entry: manager.save_checkpoint(**entry),
    ),
]


async def batch_cases(bench: Bench) -> AsyncIterator[Result]:
    """Yield the result of each batch call for 100 and for 1,000 sessions."""
    for batch in _BATCHES:
        for many in (100, 1_000):
            sides = [partial(_side, bench, batch, many, as_one=as_one) for as_one in (False, True)]
            single, ours = await alternate(bench.sizes.rounds, sides)
            case = f"{batch.name}, {many:,} at once"
            yield Result(case, "the single calls gathered", single, ours, operations=_count(bench, many))
    bench.server.clean()


async def cached_cases(bench: Bench) -> AsyncIterator[Result]:
    """Compare `get_session` answered from memory with the same call answered by the server."""
    items = new_items(bench.keys, SESSIONS)
    await live()(bench, items)
    cached = new_manager(bench.server, CachedSessionManager)
    async with cached:
        await cached.get_session(items[0].session_id)
        await wait_until(cached.is_tracking_active, description="invalidation to become active")
        await asyncio.gather(*(cached.get_session(item.session_id) for item in items))
        for width in (1, 100):
            count = bench.count_for(width, 0.5)
            sides = [_reads(manager, items, count, width) for manager in (bench.manager, cached)]
            plain, ours = await alternate(bench.sizes.rounds, sides)
            case = "CachedSessionManager.get_session, known"
            yield Result(case, "SessionManager.get_session", plain, ours, operations=count, width=width)
    bench.server.clean()


def _reads(manager: SessionManager, items: list[Item], count: int, width: int) -> Side:
    some = [items[place % len(items)].session_id for place in range(count)]

    async def side() -> Work:
        return calls(manager.get_session, some, width)

    return side


def _count(bench: Bench, many: int) -> int:
    return max(bench.sizes.gathered_calls, many)


async def _side(bench: Bench, batch: _Batch, many: int, *, as_one: bool) -> Work:
    bench.server.clean()
    items = new_items(bench.keys, _count(bench, many))
    if batch.exists:
        await live()(bench, items)
    entries = [batch.entry(item) for item in items]

    async def work() -> None:
        for first in range(0, len(entries), many):
            some = entries[first : first + many]
            if as_one:
                done = await batch.many(bench.manager, some)
            else:
                done = await asyncio.gather(*(batch.one(bench.manager, entry) for entry in some))
            assert not any(isinstance(each, Exception) for each in done), done

    return work
