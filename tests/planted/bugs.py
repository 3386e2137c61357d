"""The planted bugs, read from their files."""

import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
_FOLDER = Path(__file__).parent


class Bug(NamedTuple):
    """A change of one place that breaks a promise."""

    area: str
    #: What users are promised; docs/guarantees.md has the promises grouped for readers.
    promise: str
    #: What is wrong once it is planted, in a few words.
    bug: str
    #: The file, and the only place in it that is changed.
    file: str
    before: str
    after: str
    #: What pytest is to run; it must fail.
    test: str


def load_bugs(area: str = "*") -> list[Bug]:
    """The bugs of an area, or of all."""
    return [
        Bug(area=path.stem, **entry)
        for path in sorted(_FOLDER.glob(f"{area}.toml"))
        for entry in tomllib.loads(path.read_text())["bug"]
    ]


def planted(bug: Bug) -> str:
    """The text of the file with the bug in it."""
    text = (ROOT / bug.file).read_text()
    if (times := text.count(bug.before)) != 1:
        raise ValueError(f"{bug.area}: {bug.before!r} is {times} times in {bug.file}, not once")
    return text.replace(bug.before, bug.after)
