"""The results of a run, in tables."""

from collections import Counter
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from tests.chaos.driver import Run

#: Most violations that are printed. After so many, the rest says nothing new.
_MOST_LINES = 50


def show(run: Run, console: Console) -> None:
    """Print the results."""
    console.print(_counts("Faults injected", run.faults))
    console.print(_calls(run))
    jobs = Counter(f"{job.kind}: {job.state}" for job in run.found.jobs.values())
    console.print(_counts("Jobs", jobs))
    console.print(_counts("Processes started again", run.restarts))
    console.print(_counts("How these had ended", run.exits))
    console.print(_counts("Found at the end", _seen(run)))
    for line in run.violations[:_MOST_LINES]:
        console.print(f"VIOLATION {line}", style="red", markup=False, highlight=False)
    if run.kept:
        console.print(f"journals and logs: {run.kept}")
    verdict = f"{len(run.violations)} violations" if run.violations else "no violation"
    console.print(f"seed {run.seed}, {run.seconds:.0f} s: {verdict}", style="bold")


def _seen(run: Run) -> dict[str, int]:
    expected, found = run.expected, run.found
    return {
        "sessions that callers were told of": len(expected.sessions),
        "of these deleted": sum(bool(each.deleted or each.revoked_by) for each in expected.sessions.values()),
        "of these expired": sum(each.expires for each in expected.sessions.values()),
        "sessions there": len(found.sessions),
        "checkpoints there": sum(len(each.checkpoints) for each in found.sessions.values()),
        "creations of unknown outcome": sum(expected.unknown_creates.values()) // 2,
        "saves of unknown outcome": sum(each.unknown_saves for each in expected.sessions.values()),
        "receipts": len(found.receipts),
    }


def _calls(run: Run) -> Table:
    outcomes = ("answered", "refused", "unavailable", "unknown", "failed")
    counts = run.expected.calls
    table = Table(title="Calls by outcome", title_justify="left")
    table.add_column("call")
    for outcome in outcomes:
        table.add_column(outcome, justify="right")
    for call in sorted({call for call, _ in counts}):
        table.add_row(call, *(str(counts[call, outcome]) for outcome in outcomes))
    totals = [sum(n for (_, told), n in counts.items() if told == outcome) for outcome in outcomes]
    table.add_row("all", *map(str, totals), style="bold")
    return table


def _counts(title: str, counts: Mapping[str, int]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in sorted(counts.items()):
        table.add_row(name, str(count))
    table.add_row("all", str(sum(counts.values())), style="bold") if title == "Faults injected" else None
    return table
