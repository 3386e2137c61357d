"""A check of the whole store, with a progress bar, and what it found."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import typer
from rich.progress import BarColumn, Progress, TextColumn

from agent_runtime.manager import Damage, Finding, StoreScrubber
from agent_runtime.worker.cli.actions.connection import connected
from agent_runtime.worker.cli.terminal.exit_status import DONE, FAILED
from agent_runtime.worker.cli.terminal.formatting import count, plain
from agent_runtime.worker.cli.terminal.output import Output

#: Between two looks at how far it is, seconds.
_SHOW_SECONDS = 0.1


@dataclass
class Found:
    """What has been found, of which only the first `limit` are kept."""

    limit: int
    kept: list[Finding] = field(default_factory=list)
    counts: Counter[Damage] = field(default_factory=Counter)
    mended: int = 0

    def take(self, finding: Finding) -> None:
        self.counts[finding.damage] += 1
        self.mended += finding.mended
        if len(self.kept) < self.limit:
            self.kept.append(finding)

    @property
    def left(self) -> int:
        return self.counts.total() - self.mended

    def document(self, keys: int) -> dict[str, Any]:
        return {
            "keys": keys,
            "findings": [finding.model_dump(mode="json") for finding in self.kept],
            "counts": dict(sorted(self.counts.items())),
            "mended": self.mended,
            "left": self.left,
        }


def check_store(repair: bool, limit: int, as_json: bool) -> None:
    out = Output(as_json)
    found = Found(limit)
    with connected() as here:
        scrubber = here.manager.scrub(repair=repair)
        here.run(_walk(scrubber, found, out))
    table = (
        [out.table(("damage", "state", "what"), [_row(each) for each in found.kept])] if found.kept else []
    )
    hidden = found.counts.total() - len(found.kept)
    more = [f"{count(hidden, 'findings')} more: --limit shows more."] if hidden else []
    out.result(found.document(scrubber.keys_seen), *table, *more, _verdict(scrubber, found, repair))
    raise typer.Exit(FAILED if found.left else DONE)


async def _walk(scrubber: StoreScrubber, found: Found, out: Output) -> None:
    with _bar(out) as show:

        async def show_often() -> None:
            while True:
                show(scrubber)
                await asyncio.sleep(_SHOW_SECONDS)

        shower = asyncio.create_task(show_often())
        try:
            async for finding in scrubber:
                found.take(finding)
            show(scrubber)
        finally:
            shower.cancel()


@contextmanager
def _bar(out: Output) -> Iterator[Callable[[StoreScrubber], None]]:
    columns = (TextColumn("check"), BarColumn(bar_width=18), TextColumn("{task.fields[counted]}"))
    with Progress(*columns, console=out.stderr, disable=not out.stderr.is_terminal) as bars:
        bar = bars.add_task("", total=1.0, counted="")

        def show(scrubber: StoreScrubber) -> None:
            bars.update(bar, completed=scrubber.progress, counted=count(scrubber.keys_seen, "keys"))

        yield show


def _row(finding: Finding) -> tuple[str, str, str]:
    what = f"{finding.key} {finding.about}"
    return finding.damage.replace("_", " "), "mended" if finding.mended else "left", plain(what)


def _verdict(scrubber: StoreScrubber, found: Found, repair: bool) -> str:
    looked = f"Looked at {count(scrubber.keys_seen, 'keys')}:"
    if not found.counts:
        return f"{looked} nothing is wrong."
    if not repair:
        advice = "To mend what can be mended: agent-sessions check --repair"
        return f"{looked} {count(found.left, 'problems')}. {advice}"
    left = f", {found.left:,} left to you (docs/running.md)" if found.left else ""
    return f"{looked} {count(found.mended, 'problems')} mended{left}."
