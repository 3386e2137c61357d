"""`python -m tests.planted.table` writes tests/planted/README.md: the planted bugs as a table."""

from itertools import groupby

from tests.planted.bugs import ROOT, Bug, load_bugs

PAGE = ROOT / "tests" / "planted" / "README.md"

_HEAD = """# Planted bugs

This page is written by `python -m tests.planted.table`.

A planted bug is one change of the code that breaks a promise. `make planted` copies the checkout, plants one
bug after the other, runs the tests beside it and reports which bugs the tests caught.
`python -m tests.planted AREA` does the same for one area; an area is a `.toml` file in this folder.
`tests/test_planted_bugs.py` fails if a bug can no longer be planted or if its test is gone.
[CONTRIBUTING](../../CONTRIBUTING.md#add-a-planted-bug) says how to add one.
"""

#: Areas and the headings of their sections, in the order of the page.
_AREAS = {
    "store": "Sessions and checkpoints",
    "chunks": "Chunks",
    "checkpoints": "Stored values of checkpoints",
    "model": "The store against a model",
    "concurrency": "Many processes at once",
    "replies": "Lost replies",
    "fork": "Forks",
    "transport": "Transport",
    "bulk": "Bulk work",
    "scenarios": "Processes and servers that fail",
    "chaos": "Chaos",
    "batches": "Batches",
    "invalidation": "Cached sessions",
    "integrity": "Damaged data",
    "fuzz": "Arbitrary input",
    "encryption": "Encryption at rest",
    "security": "Security",
    "setup": "Set-up",
    "packaging": "Packaging",
    "benchmarks": "Benchmarks",
}


def page() -> str:
    """Return the page: a section for each area, with promises, tests and the bugs that were planted.

    Raises:
        ValueError: an area is not named, or a named one has no bugs.
    """
    areas = {bug.area for bug in load_bugs()}
    if areas != set(_AREAS):
        raise ValueError(f"tests/planted/table.py must name each area once: {sorted(areas ^ set(_AREAS))}")
    return _HEAD + "".join(map(_section, _AREAS))


def _section(area: str) -> str:
    lines = [f"\n## {_AREAS[area]}\n", "| promise | test | planted bugs |", "|---|---|---|"]
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
