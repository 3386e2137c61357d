"""Check the whole store, with a progress bar, and show the findings."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import typer
from rich.progress import BarColumn, Progress, TextColumn

from agent_runtime.manager.integrity import Damage, Finding, StoreScrubber
from agent_runtime.worker.cli.actions.connection import connect
from agent_runtime.worker.cli.terminal.exit_status import FAILURE, SUCCESS
from agent_runtime.worker.cli.terminal.formatting import count, plain
from agent_runtime.worker.cli.terminal.output import Output

#: Between two updates of the progress bar, seconds.
_UPDATE_SECONDS = 0.1


@dataclass
class Findings:
    """The findings of a check: the first `limit` of them, and counts of all."""

    limit: int
    kept: list[Finding] = field(default_factory=list)
    counts: Counter[Damage] = field(default_factory=Counter)
    repaired: int = 0

    def add(self, finding: Finding) -> None:
        self.counts[finding.damage] += 1
        self.repaired += finding.repaired
        if len(self.kept) < self.limit:
            self.kept.append(finding)

    @property
    def left(self) -> int:
        return self.counts.total() - self.repaired

    def document(self, keys: int) -> dict[str, Any]:
        return {
            "keys": keys,
            "findings": [finding.model_dump(mode="json") for finding in self.kept],
            "counts": dict(sorted(self.counts.items())),
            "repaired": self.repaired,
            "left": self.left,
        }


def check(repair: bool, limit: int, as_json: bool) -> None:
    out = Output(as_json)
    findings = Findings(limit)
    with connect() as connection:
        scrubber = connection.manager.scrub(repair=repair)
        connection.run(_scrub(scrubber, findings, out))
    rows = [_row(each) for each in findings.kept]
    table = [out.table(("damage", "state", "key"), rows, shrink="key")] if rows else []
    hidden = findings.counts.total() - len(rows)
    more = [f"{count(hidden, 'more finding', 'more findings')}; raise --limit to see all."] if hidden else []
    out.result(findings.document(scrubber.keys_seen), *table, *more, _verdict(scrubber, findings, repair))
    raise typer.Exit(FAILURE if findings.left else SUCCESS)


async def _scrub(scrubber: StoreScrubber, findings: Findings, out: Output) -> None:
    with _bar(out) as show:

        async def update() -> None:
            while True:
                show(scrubber)
                await asyncio.sleep(_UPDATE_SECONDS)

        updating = asyncio.create_task(update())
        try:
            async for finding in scrubber:
                findings.add(finding)
            show(scrubber)
        finally:
            updating.cancel()


@contextmanager
def _bar(out: Output) -> Iterator[Callable[[StoreScrubber], None]]:
    columns = (TextColumn("check"), BarColumn(bar_width=18), TextColumn("{task.fields[counted]}"))
    with Progress(*columns, console=out.stderr, disable=not out.stderr.is_terminal) as bars:
        bar = bars.add_task("", total=1.0, counted="")

        def show(scrubber: StoreScrubber) -> None:
            bars.update(bar, completed=scrubber.progress, counted=count(scrubber.keys_seen, "key", "keys"))

        yield show


def _row(finding: Finding) -> tuple[str, str, str]:
    state = "repaired" if finding.repaired else "not repaired"
    return finding.damage.replace("_", " "), state, plain(f"{finding.key} {finding.detail}")


def _verdict(scrubber: StoreScrubber, findings: Findings, repair: bool) -> str:
    checked = f"Checked {count(scrubber.keys_seen, 'key', 'keys')}:"
    if not findings.counts:
        return f"{checked} no problems."
    if not repair:
        problems = count(findings.left, "problem", "problems")
        return f"{checked} {problems}. To repair them: agent-sessions check --repair"
    left = f", {findings.left:,} left to you (docs/running.md)" if findings.left else ""
    return f"{checked} {count(findings.repaired, 'problem', 'problems')} repaired{left}."
