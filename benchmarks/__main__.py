"""Entry: `python -m benchmarks`."""

import argparse
import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext

from benchmarks.batch_cases import batch_cases, cached_cases
from benchmarks.bench import FULL, QUICK, Bench, Sizes, open_bench
from benchmarks.bulk_cases import reclaim_cases, sweep_cases
from benchmarks.call_cases import call_cases
from benchmarks.encryption_cases import encryption_cases
from benchmarks.growth_cases import growth_cases
from benchmarks.latency_cases import latency_cases
from benchmarks.memory_cases import memory_cases
from benchmarks.network_cases import network_cases
from benchmarks.page import render
from benchmarks.profile_cases import profile_cases
from benchmarks.report import print_report
from benchmarks.results import Measured, save, setting
from benchmarks.server import KINDS, URL_VARIABLE, BenchServer, ServerMissingError, bench_server
from benchmarks.sharing_cases import sharing_cases
from benchmarks.timing import Result
from benchmarks.wakefulness import processors_awake

_GROUPS: dict[str, Callable[[Bench], AsyncIterator[Result]]] = {
    "calls": call_cases,
    "profile": profile_cases,  # before the store has held a million sessions: memory is slower from then on
    "batches": batch_cases,
    "cached": cached_cases,
    "network": network_cases,
    "encryption": encryption_cases,
    "sharing": sharing_cases,
    "memory": memory_cases,
    "growth": growth_cases,
    "reclaim": reclaim_cases,
    "sweep": sweep_cases,
    "latency": latency_cases,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the session manager against raw redis-py and the raw server.",
        epilog=f"Starts servers of its own. {URL_VARIABLE} names one that is running already.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and few rounds: to see that all runs"
    )
    parser.add_argument(
        "--save", action="store_true", help="write benchmarks/results/ and docs/performance.md"
    )
    parser.add_argument("--only", nargs="+", choices=_GROUPS, default=list(_GROUPS), help="these groups only")
    parser.add_argument("--server", nargs="+", choices=KINDS, default=list(KINDS), help="these servers only")
    parser.add_argument(
        "--let-halt",
        action="store_true",
        help="let processors halt between calls; prints only",
    )
    parser.add_argument(
        "--render", action="store_true", help="write docs/performance.md, and measure nothing"
    )
    options = parser.parse_args()
    if options.let_halt and options.save:
        parser.error("--let-halt goes without --save")
    started = time.monotonic()
    gc.collect()
    gc.freeze()  # exclude modules from each collection between measurements
    if not options.render:
        kinds = [options.server[0]] if URL_VARIABLE in os.environ else options.server
        with nullcontext() if options.let_halt else processors_awake():
            for kind in kinds:
                _run(kind, options.only, QUICK if options.quick else FULL, options)
    if options.render or options.save:
        print("".join(f"written: {path}\n" for path in render()), end="")
    print(f"{time.monotonic() - started:.0f} s in all")


def _run(kind: str, groups: list[str], sizes: Sizes, options: argparse.Namespace) -> None:
    """Measure every group on one server."""
    try:
        with bench_server(kind) as server:
            if options.save and not server.own:
                raise SystemExit(f"--save is for servers that a run starts; unset {URL_VARIABLE}")
            results = asyncio.run(_measure(kind, server, groups, sizes, options))
            print_report(server.version(), results)
    except ServerMissingError as error:
        print(f"nothing was measured on {kind}: {error}")


async def _measure(
    kind: str, server: BenchServer, groups: list[str], sizes: Sizes, options: argparse.Namespace
) -> list[Result]:
    results: list[Result] = []
    async with open_bench(server, sizes) as bench:
        for group in groups:
            started, holds_for = time.monotonic(), setting(server, sizes, is_quick=options.quick)
            found = [result async for result in _shown(_GROUPS[group](bench))]
            print(f"-- {server.version()}, {group}: {time.monotonic() - started:.0f} s", flush=True)
            if options.save and found:
                save(kind, group, Measured(holds_for, found))
            results += found
    return results


async def _shown(results: AsyncIterator[Result]) -> AsyncIterator[Result]:
    async for result in results:
        print(f"{result.name}, against {result.against}: {result.ratio:.2f} {result.aim_text}", flush=True)
        yield result


if __name__ == "__main__":
    main()
