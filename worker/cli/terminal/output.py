"""Print results on stdout and everything else on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NoReturn

import typer
from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from agent_runtime.manager.jobs import JobProgress, JobState
from agent_runtime.worker.cli.terminal.exit_status import FAILURE, SUCCESS
from agent_runtime.worker.cli.terminal.formatting import describe_state

#: Width of an output that is no terminal: nothing is wrapped or cut off.
_UNBOUNDED = 100_000

#: Between columns.
_GAP = "  "


class Output:
    """The output of a command.

    Args:
        as_json: print one JSON document on stdout, and what people read on stderr.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.stdout, self.stderr = _console(stderr=False), _console(stderr=True)

    def note(self, *lines: str) -> None:
        """Print lines for people, beside the result."""
        for line in lines:
            self.stderr.print(line)

    def result(self, document: BaseModel | dict[str, Any], *shown: str | Table) -> None:
        """Print the result: the document for programs, or what is shown to people."""
        if self.as_json:
            fields = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
            sys.stdout.write(json.dumps(fields, indent=2) + "\n")
            return
        for each in shown:
            self.stdout.print(each)

    def show_state(self, job: JobProgress, **more: object) -> None:
        """Print the state of a job as the result. `more` is added to the document."""
        self.result(job.model_dump(mode="json") | more, *describe_state(job))

    def finish(self, job: JobProgress, **more: object) -> NoReturn:
        """Print the state of a job and end the command. A job that did not do its work is a failure."""
        failed = job.state in (JobState.FAILED, JobState.CANCELLED, JobState.UNDONE)
        if failed:
            self.note(*describe_state(job))
        self.result(job.model_dump(mode="json") | more, *([] if failed else describe_state(job)))
        raise typer.Exit(FAILURE if failed else SUCCESS)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]], *, shrink: str) -> Table:
        """Return a table without lines.

        Args:
            headings: those of columns with numbers end in `>`.
            rows: at least one.
            shrink: the column that is cut off if the terminal is too narrow. Others may choose its content.
        """
        names = [heading.rstrip(">") for heading in headings]
        widths = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]
        place = names.index(shrink)
        others = sum(widths) - widths[place] + len(_GAP) * (len(names) - 1)
        widths[place] = max(len(shrink), min(widths[place], self.stdout.width - others))
        made = Table(box=None, pad_edge=False, padding=(0, len(_GAP), 0, 0), header_style="bold")
        for heading, name, width in zip(headings, names, widths, strict=True):
            justify: Literal["left", "right"] = "left" if heading == name else "right"
            made.add_column(name, justify=justify, no_wrap=True, width=width)
        for row in rows:
            made.add_row(*row)
        return made


def fields(rows: Iterable[tuple[str, str]]) -> Table:
    """Return a table of names and values, one pair a line, without those that have no value."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value:
            made.add_row(name, value)
    return made


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _UNBOUNDED
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)
