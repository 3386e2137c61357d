"""Time of a call by part: the client, the server, and scripts in the server."""

import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

from benchmarks.bench import Bench
from benchmarks.call_cases import checkpoint_cases, session_cases
from benchmarks.calls import Case, both_sides
from benchmarks.timing import Result

_WIDTHS = (1, 100)


class _Spent(NamedTuple):
    """Times of one round, microseconds for each call."""

    #: From the first call to the last answer.
    total: float
    #: Processor time, in the client's process and in the server's.
    client: float
    server: float
    #: The server's time in commands and scripts. It is part of `server`.
    commands: float


async def profile_cases(bench: Bench) -> AsyncIterator[Result]:
    """Yield processor time in each process, of both sides, for create, get, save and latest of 2 KB."""
    if not bench.server.own:
        print("profile: only on a server of the bench's own, whose statistics it may use")
        return
    for case in [*session_cases(bench.keys)[:3], *checkpoint_cases(bench, ("2 KB",))]:
        for width in _WIDTHS:
            if case.widths is None or width in case.widths:
                yield await _profiled(bench, case, width)
    bench.server.clean()


async def _profiled(bench: Bench, case: Case, width: int) -> Result:
    count = bench.count_for(width)
    raw: list[_Spent] = []
    ours: list[_Spent] = []
    sides = list(zip((raw, ours), await both_sides(bench, case, count, width), strict=True))
    for number in range(-1, bench.sizes.rounds):
        for rounds, side in sides if number % 2 else reversed(sides):
            one = await _spent(bench, await side(), count)
            rounds += [one] if number >= 0 else []
    details: dict[str, Any] = {"call": case.name}
    for name, rounds in (("ours", ours), ("raw", raw)):
        medians = map(statistics.median, zip(*rounds, strict=True))
        details |= {
            f"{name}, µs": dict(zip(_Spent._fields, (round(each, 1) for each in medians), strict=True))
        }
    return Result(
        f"processor time of the client, {case.name}",
        case.against,
        [each.client for each in raw],
        [each.client for each in ours],
        unit="µs",
        width=width,
        details=details,
    )


async def _spent(bench: Bench, work: Callable[[], Awaitable[Any]], count: int) -> _Spent:
    gc.collect()
    bench.server.reset_script_times()
    server, client, started = bench.server.processor_seconds(), time.process_time(), time.perf_counter()
    await work()
    seconds, client = time.perf_counter() - started, time.process_time() - client
    server = bench.server.processor_seconds() - server
    commands = bench.server.command_micros() / 1e6
    return _Spent(*(each * 1e6 / count for each in (seconds, client, server, commands)))
