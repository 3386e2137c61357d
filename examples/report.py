"""What the demo shows: a line for each thing it did, and whether what was found is what was expected."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Line(NamedTuple):
    """One thing the demo did."""

    what: str
    count: int
    unit: str
    seconds: float


class Report:
    """Measures, compares, and prints a table at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: list[Line] = []
        self.checks = 0
        self.differences: list[str] = []

    @contextmanager
    def measured(self, what: str, unit: str) -> Iterator[list[int]]:
        """Times the block; it appends how many things it did."""
        counts: list[int] = []
        started = time.perf_counter()
        yield counts
        self._lines.append(Line(what, sum(counts), unit, time.perf_counter() - started))

    def compare(self, what: str, found: object, expected: object) -> None:
        """Notes a difference between what was found and what the bookkeeping says."""
        self.checks += 1
        if found != expected:
            self.differences.append(f"{what}: found {found!r}, expected {expected!r}")

    def print(self) -> None:
        table = Table(title="What was done")
        table.add_column("what")
        for heading in ("how many", "seconds", "per second"):
            table.add_column(heading, justify="right")
        for line in self._lines:
            rate = f"{line.count / line.seconds:,.0f}" if line.seconds > 0 else ""
            table.add_row(line.what, f"{line.count:,} {line.unit}", f"{line.seconds:.2f}", rate)
        self._console.print(table)
        if self.differences:
            self._console.print(f"[red]{len(self.differences)} of {self.checks} checks differ:[/red]")
            for difference in self.differences:
                self._console.print(f"  {difference}", markup=False)
        else:
            self._console.print(
                f"[green]All {self.checks} checks agree with the caller's own bookkeeping.[/green]"
            )
