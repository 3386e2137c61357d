"""Stores of ten thousand to a million sessions: run times of the same scripts in each store, and its memory.

Each store lies in a database of its own on one server, so that stores are measured in turn.
"""

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs.request import JobRequest
from agent_runtime.manager.keys import Keys
from benchmarks.bench import Bench, new_manager
from benchmarks.calls import AGENT, METADATA
from benchmarks.populate import Owned, Populated, new_owned, populate
from benchmarks.server import ANSWER_SECONDS, BenchServer
from benchmarks.timing import Result

#: Longest time for opening the deletion of an agent, whatever the number of sessions.
_AIM_REVOKE_MS = 5.0
_REVOCATIONS = 10


class _Store(NamedTuple):
    sessions: int
    server: BenchServer
    manager: SessionManager
    keys: Keys
    owned: Owned
    #: Growth of the server's memory.
    bytes: int


#: Makes so many calls in a store, and returns the ids of the sessions it has created.
_Calls = Callable[[_Store, int], Awaitable[Sequence[str]]]


async def growth_cases(bench: Bench) -> AsyncIterator[Result]:
    """Yield server time in microseconds for each call, in each store against the smallest."""
    if not bench.server.own:
        print("growth: only on a server of the bench's own, whose statistics and databases it may use")
        return
    calls: dict[str, _Calls] = {"get_session": _get, "create_session": _create, "get_sessions_by_user": _list}
    async with AsyncExitStack() as opened:
        stores = [
            await opened.enter_async_context(_client(bench, place, sessions))
            for place, sessions in enumerate(bench.sizes.growth, 1)
        ]
        each = [[store.bytes / store.sessions] for store in stores]
        for result in _results("memory of each session", "bytes", stores, each, [{} for _ in stores]):
            yield result
        for name, call in calls.items():
            micros: list[list[float]] = [[] for _ in stores]
            for number in range(-1, bench.sizes.rounds):
                order = list(zip(stores, micros, strict=True))
                for store, taken in order if number % 2 else reversed(order):
                    one = await _server_micros(store, call, bench.sizes.growth_calls)
                    taken += [one] if number >= 0 else []
            for result in _results(name, "µs", stores, micros, [{} for _ in stores]):
                yield result
        for result in await _revocations(stores, bench.sizes.rounds):
            yield result


def _results(
    call: str, unit: str, stores: Sequence[_Store], figures: list[list[float]], more: list[dict[str, Any]]
) -> Iterator[Result]:
    smallest = f"the same with {stores[0].sessions:,}"
    for store, ours, details in zip(stores, figures, more, strict=True):
        told = {"call": call, "sessions": store.sessions, unit: round(statistics.median(ours), 1)} | details
        case = f"{call}, {store.sessions:,} sessions in the store"
        yield Result(case, smallest, figures[0], ours, unit=unit, details=told)


@asynccontextmanager
async def _client(bench: Bench, database: int, sessions: int) -> AsyncIterator[_Store]:
    url = urlsplit(bench.server.url)._replace(path=f"/{database}").geturl()
    owned = new_owned(sessions)
    with redis.Redis.from_url(url, socket_timeout=ANSWER_SECONDS) as client:
        server = bench.server._replace(url=url, client=client)
        before = client.info("memory")["used_memory"]
        populate(client, bench.keys, owned, Populated(AGENT, 0, {}))
        taken = client.info("memory")["used_memory"] - before
        try:
            async with new_manager(server) as manager:
                yield _Store(sessions, server, manager, bench.keys, owned, taken)
        finally:
            server.clean()


async def _server_micros(store: _Store, call: _Calls, count: int) -> float:
    """Return the time that the server worked on scripts for each of so many calls."""
    store.server.reset_script_times()
    created = await call(store, count)
    micros = store.server.command_micros()
    await store.manager.delete_sessions(created)
    return micros / count


def _some(store: _Store, count: int) -> Iterator[tuple[str, str]]:
    """Return sessions spread evenly over the store."""
    return islice(islice(store.owned, 0, None, len(store.owned) // count), count)


async def _get(store: _Store, count: int) -> Sequence[str]:
    for session_id, _ in _some(store, count):
        await store.manager.get_session(session_id)
    return ()


async def _create(store: _Store, count: int) -> Sequence[str]:
    manager = store.manager
    created = [await manager.create_session(user, AGENT, METADATA) for _, user in _some(store, count)]
    return [session.session_id for session in created]


async def _list(store: _Store, count: int) -> Sequence[str]:
    for _, user in _some(store, count):
        await store.manager.get_sessions_by_user(user)
    return ()


async def _revocations(stores: list[_Store], rounds: int) -> list[Result]:
    """Measure opening the deletion of the agent that has all sessions, which moves its index to the revoked
    set."""
    micros: list[list[float]] = [[] for _ in stores]
    waited: list[list[float]] = [[] for _ in stores]
    for number in range(-1, rounds):
        for place, store in enumerate(stores):
            store.server.reset_script_times()
            seconds = [await _revoke_and_put_back(store) for _ in range(_REVOCATIONS)]
            if number >= 0:
                micros[place].append(store.server.command_micros() / _REVOCATIONS)
                waited[place] += seconds
    details = [
        {
            "ms at the client, median": round(statistics.median(seconds) * 1e3, 2),
            "ms at the client, longest": round(max(seconds) * 1e3, 2),
            "aim in ms": _AIM_REVOKE_MS,
        }
        for seconds in waited
    ]
    return list(_results("revoke_agent_sessions of all", "µs", stores, micros, details))


async def _revoke_and_put_back(store: _Store) -> float:
    order = JobRequest.checked()
    started = time.perf_counter()
    # Requests for the same agent would join as long as none is done, hence `join=False`.
    await store.manager.jobs.open(store.manager.jobs.agent_deletion(AGENT), order, join=False)
    seconds = time.perf_counter() - started
    away = store.keys.prefix + f"revoked:{order.job_id}:1".encode()
    store.server.client.rename(away, store.keys.agent_index(AGENT))
    return seconds
