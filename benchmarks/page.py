"""`docs/performance.md`: text written by hand, and tables from the result files between markers."""

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import plots, tables
from benchmarks.results import Measured, load, million_runs

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"

#: Results by server and group.
Servers = dict[str, dict[str, Measured]]

_TABLES: dict[str, Callable[[Servers], str]] = {
    "setting": tables.settings,
    "aims": tables.aims,
    "calls": lambda servers: tables.by_width(servers, "calls"),
    "network": lambda servers: tables.by_width(servers, "network"),
    "batches": lambda servers: tables.ratios(servers, "batches", "cached"),
    "variants": lambda servers: tables.ratios(servers, "encryption", "sharing"),
    "memory": tables.memory,
    "growth": tables.growth,
    "bulk": tables.bulk,
    "latency": tables.latency,
    "million": lambda _: tables.million(million_runs()),
    "profile": tables.profile,
}


def render() -> list[Path]:
    """Write tables and plots anew, and return the files written."""
    servers = load()
    PAGE.write_text(rendered(PAGE.read_text(), servers))
    return [PAGE, *plots.draw(servers, PAGE.parent)]


def rendered(page: str, servers: Servers) -> str:
    """Return the page with all tables filled from the results.

    Raises:
        ValueError: the page lacks the place of a table, or has one for a table that does not exist.
    """
    for name in re.findall(r"^<!-- table: (\w+) -->$", page, re.MULTILINE):
        if name not in _TABLES:
            raise ValueError(f"there is no table {name}")
    for name, table in _TABLES.items():
        place = re.compile(rf"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = table(servers)
        page, found = place.subn(lambda marks, text=text: f"{marks[1]}{text}\n{marks[2]}", page)
        if found != 1:
            raise ValueError(f"the page must have one place for the table {name}")
    return page
