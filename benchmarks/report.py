"""Results on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.timing import Result


def print_report(title: str, results: list[Result]) -> None:
    """Print one line for each case. Compare ratios; the medians depend on the machine."""
    table = Table(
        title=title,
        caption="ratio: our speed by the raw speed, or if the unit is not s, our figure by the raw one;"
        " median and lowest..highest",
    )
    for name in ("case", "against"):
        table.add_column(name)
    for name in ("raw", "ours", "ratio", "spread", "aim"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        table.add_row(*_row(result))
    Console(width=None if Console().is_terminal else 150).print(table)
    missed = [f"{result.name}: {result.ratio:.2f}" for result in results if result.reached is False]
    print(f"{len(missed)} aims missed" + "".join(f"\n  {each}" for each in missed))


def _row(result: Result) -> list[str]:
    ratios = result.ratios
    return [
        result.name,
        result.against,
        *(_figure(result, figures) for figures in (result.raw, result.ours)),
        f"{result.ratio:.2f}",
        f"{min(ratios):.2f}..{max(ratios):.2f}",
        result.aim_text,
    ]


def _figure(result: Result, figures: list[float]) -> str:
    middle: Any = sorted(figures)[len(figures) // 2]
    if result.unit == "s":
        return f"{result.operations / middle:,.0f}/s"
    return f"{middle:,.3g} {result.unit}" if middle < 100 else f"{middle:,.0f} {result.unit}"
