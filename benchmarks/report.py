"""Results as a table and as JSON."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from benchmarks.bench import Sizes
from benchmarks.server import BenchServer
from benchmarks.timing import Comparison, reached

RESULTS = Path(__file__).parent / "results" / "latest.json"


def setting(server: BenchServer, sizes: Sizes) -> dict[str, Any]:
    """What the figures hold for."""
    info = server.client.info("server")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "server": server.version(),
        "server_build": {name: info.get(name) for name in ("redis_version", "valkey_version", "os")},
        "redis_py": redis.__version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "sizes": sizes._asdict(),
        "payload_bytes": {"metadata": 14, "checkpoints": [400, 2_048], "reclaimed_checkpoint": 400},
    }


def print_report(heading: dict[str, Any], results: list[Comparison]) -> None:
    """One line for each case. Speeds and times are indicative; the ratios are what counts."""
    names = ("server", "redis_py", "python", "cpus", "date")
    table = Table(
        title=", ".join(f"{name} {heading[name]}" for name in names),
        caption="ratio = our speed / raw speed, median and lowest..highest; the rest is indicative",
    )
    for name in ("case", "against"):
        table.add_column(name)
    for name in ("raw/s", "ours/s", "ratio", "spread", "aim"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        table.add_row(*_row(result))
    console = Console(width=None if Console().is_terminal else 150)
    console.print(table)
    for result in _once_each(results):
        console.print(f"[bold]{result.case}[/bold]: " + _told(result.details), highlight=False)


def save(heading: dict[str, Any], results: list[Comparison]) -> Path:
    """Writes everything to the result file."""
    RESULTS.parent.mkdir(exist_ok=True)
    cases = [result._asdict() | {"ratio": result.ratio, "ratios": result.ratios} for result in results]
    RESULTS.write_text(json.dumps({"setting": heading, "cases": cases}, indent=1) + "\n")
    return RESULTS


def _row(result: Comparison) -> list[str]:
    ratios = result.ratios
    aim = ""
    if result.aim is not None:
        aim = f"{result.aim:g} {reached(result.ratio >= result.aim)}"
    return [
        result.case,
        result.against,
        f"{result.raw_speed:,.0f}",
        f"{result.our_speed:,.0f}",
        f"{result.ratio:.2f}",
        f"{min(ratios):.2f}..{max(ratios):.2f}",
        aim,
    ]


def _once_each(results: list[Comparison]) -> list[Comparison]:
    """Results with details, each case once though it may have several raw counterparts."""
    return list({result.case: result for result in results if result.details}.values())


def _told(details: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in details.items())
