"""The result of the demo: a line for each step, and every difference from the caller's own records."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.table import Table


class Line(NamedTuple):
    """The figures of one step."""

    step: str
    amount: int
    unit: str
    seconds: float


class Report:
    """Measures the steps, compares counts, and prints a table at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: list[Line] = []
        self.checks = 0
        self.differences: list[str] = []

    @contextmanager
    def measure(self, step: str, unit: str) -> Iterator[list[int]]:
        """Time the block, which appends the number of `unit` that it handled to the yielded list."""
        counts: list[int] = []
        started = time.perf_counter()
        yield counts
        self._lines.append(Line(step, sum(counts), unit, time.perf_counter() - started))

    def compare(self, subject: str, found: object, expected: object) -> None:
        """Count a check, and note the difference if the two are not equal."""
        self.checks += 1
        if found != expected:
            self.differences.append(f"{subject}: found {found!r}, expected {expected!r}")

    def print(self) -> None:
        table = Table(title="Results")
        table.add_column("step")
        for heading in ("count", "seconds", "per second"):
            table.add_column(heading, justify="right")
        for line in self._lines:
            rate = f"{line.amount / line.seconds:,.0f}" if line.seconds > 0 else ""
            table.add_row(line.step, f"{line.amount:,} {line.unit}", f"{line.seconds:.2f}", rate)
        self._console.print(table)
        if self.differences:
            self._console.print(f"[red]{len(self.differences)} of {self.checks} checks failed:[/red]")
            for difference in self.differences:
                self._console.print(f"  {difference}", markup=False)
        else:
            self._console.print(f"[green]All {self.checks} checks agree with the caller's records.[/green]")
