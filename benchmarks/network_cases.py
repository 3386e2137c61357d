"""Calls over a network whose round trip takes a millisecond longer, and the cost of the proxy itself."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from benchmarks.bench import Bench, open_bench
from benchmarks.call_cases import checkpoint_cases, session_cases
from benchmarks.calls import SESSIONS, live, measure, new_items
from benchmarks.slow_network import slowed
from benchmarks.timing import Result, Work, alternate, calls

DELAY_SECONDS = 0.001
_WIDTHS = (1, 100)


async def network_cases(bench: Bench) -> AsyncIterator[Result]:
    """Yield results for create, get, save and latest of 2 KB, both sides through a proxy."""
    server, sizes = bench.server, bench.sizes
    with slowed(server.url, DELAY_SECONDS) as url:
        async with open_bench(server, sizes, url=url) as far:
            for case in [*session_cases(far.keys)[:3], *checkpoint_cases(far, ("2 KB",))]:
                widths = tuple(width for width in _WIDTHS if case.widths is None or width in case.widths)
                async for result in measure(far, case._replace(widths=widths, aims={})):
                    yield result
    with slowed(server.url, 0) as url:
        async with open_bench(server, sizes, url=url) as near:
            for width in _WIDTHS:
                yield await _proxy_itself(bench, near, width)


async def _proxy_itself(bench: Bench, near: Bench, width: int) -> Result:
    """Measure a raw client through a proxy without delay. This client needs the most chunks for a call."""
    items = new_items(bench.keys, SESSIONS)
    await live()(bench, items)
    keys = [items[place % SESSIONS].session for place in range(bench.count_for(width))]
    sides = [partial(_reads, each.raw_for(width), keys, width) for each in (bench, near)]
    direct, through = await alternate(bench.sizes.rounds, sides)
    bench.server.clean()
    case = "the proxy itself: raw HGETALL through it, nothing delayed"
    return Result(case, "the same directly", direct, through, operations=len(keys), width=width)


async def _reads(client: Any, keys: list[bytes], width: int) -> Work:
    return calls(client.hgetall, keys, width)
