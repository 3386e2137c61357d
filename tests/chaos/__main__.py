"""`make chaos`, for two minutes; `make chaos SECONDS=7200 SEED=7` for two hours with a seed."""

import argparse
import asyncio
import secrets
import signal
import sys

from rich.console import Console

from tests.chaos.driver import run_chaos
from tests.chaos.report import show


def main() -> int:
    """Run chaos, and return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", default="")
    arguments = parser.parse_args()
    console = Console()
    seed = arguments.seed or secrets.token_hex(4)
    console.print(f"Chaos for {arguments.seconds:.0f} s, seed {seed}")
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))  # SIGTERM also ends all processes
    run = asyncio.run(run_chaos(seed, arguments.seconds))
    show(run, console)
    return int(bool(run.violations))


if __name__ == "__main__":
    sys.exit(main())
