"""`python -m tests.planted.table`: writes the planted bugs into docs/guarantees.md."""

from itertools import groupby

from tests.planted.bugs import ROOT, Bug, load_bugs

PAGE = ROOT / "docs" / "guarantees.md"
_BEGIN, _END = "<!-- planted bugs: begin -->\n", "<!-- planted bugs: end -->"

#: Area, what it is about, in the order of the page.
_AREAS = {
    "store": "Sessions and checkpoints",
    "chunks": "What checkpoints share",
    "checkpoints": "How checkpoints are written and read",
    "model": "Sessions, checkpoints and jobs against a model",
    "concurrency": "Many processes at once",
    "replies": "Lost replies",
    "transport": "The connection",
    "bulk": "Bulk work",
    "scenarios": "Processes and servers that fail",
    "chaos": "Everything at once",
    "batches": "Many sessions at once",
    "invalidation": "Copies of sessions",
    "integrity": "Damaged data",
    "fuzz": "Anything that may come in",
    "encryption": "Encryption at rest",
    "security": "Security",
    "packaging": "What is installed",
    "benchmarks": "What the benchmarks say",
}


def table() -> str:
    """A section for each area: promise, test, and the bugs that were planted."""
    areas = {bug.area for bug in load_bugs()}
    if areas != set(_AREAS):
        raise ValueError(f"tests/planted/table.py must name each area once: {sorted(areas ^ set(_AREAS))}")
    return "".join(map(_section, _AREAS))


def page() -> str:
    """The page with the table as it is now."""
    head, rest = PAGE.read_text().split(_BEGIN)
    return head + _BEGIN + table() + _END + rest.split(_END)[1]


def _section(area: str) -> str:
    lines = [f"\n### {_AREAS[area]}\n", "| promise | test | planted bugs |", "|---|---|---|"]
    bugs = sorted(load_bugs(area), key=lambda bug: bug.promise)
    for promise, group in groupby(bugs, key=lambda bug: bug.promise):
        same = list(group)
        tests = dict.fromkeys(_short(bug) for bug in same)
        lines.append(f"| {promise} | {'<br>'.join(tests)} | {'; '.join(bug.bug for bug in same)} |")
    return "\n".join(lines) + "\n"


def _short(bug: Bug) -> str:
    return "<br>".join(f"`{word}`" for word in bug.test.split() if word.startswith("tests/"))


if __name__ == "__main__":
    PAGE.write_text(page())
