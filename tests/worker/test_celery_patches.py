"""Each correction of a library says which upstream issue it works around, and when it can be removed."""

import ast
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support.processes import ROOT

_ISSUE = r"(?:celery/celery|celery/kombu|mher/flower)#\d+|not reported upstream as of \d{4}-\d{2}"
_PATCHES = sorted(
    path for path in (ROOT / "worker" / "celery_patches").glob("*.py") if path.name != "__init__.py"
)


def upstream_note(docstring: str) -> str:
    """Return what is wrong with the note on upstream in a docstring, or '' if nothing is."""
    notes = dict(re.findall(r"^(Upstream|Seen with|Remove when): (.+(?:\n    .+)*)", docstring, re.MULTILINE))
    if missing := {"Upstream", "Seen with", "Remove when"} - notes.keys():
        return f"no line {sorted(missing)}"
    if not re.search(_ISSUE, notes["Upstream"]):
        return "names no issue, and does not say that there is none"
    seen = re.findall(r"(celery|kombu|flower) (\d+\.\d+)\.\d+", notes["Seen with"])
    if not seen:
        return "names no version with which the fault was seen"
    outdated = [f"{package} {old}" for package, old in seen if not version(package).startswith(f"{old}.")]
    if outdated:
        return f"look if it is still needed: seen with {outdated}, and a newer version is installed"
    if not any(f"{package} > {old} " in notes["Remove when"] for package, old in seen):
        return "names no version after which it may be removed"
    return ""


@pytest.mark.parametrize("path", [*_PATCHES, ROOT / "worker" / "flower.py"], ids=lambda path: path.stem)
def test_a_patch_names_its_upstream_issue_and_its_end(path: Path) -> None:
    assert upstream_note(ast.get_docstring(ast.parse(path.read_text())) or "") == ""


def test_there_are_patches() -> None:
    assert [path.stem for path in _PATCHES] == ["acknowledgements", "consumer", "pool_results"]


_INSTALLED = version("kombu")
_SERIES = _INSTALLED.rpartition(".")[0]


def _note(
    upstream: str = "celery/kombu#1", seen: str = _INSTALLED, end: str = f"kombu > {_SERIES} has it"
) -> str:
    return f"Fix it.\n\nUpstream: {upstream}\nSeen with: kombu {seen}\nRemove when: {end}."


@pytest.mark.parametrize(
    ("docstring", "complaint"),
    [
        ("Fix it.", "no line"),
        (_note(upstream="somewhere"), "names no issue"),
        (_note(seen="of late"), "names no version with which"),
        (_note(seen="4.0.1"), "still needed"),
        (_note(end="it is fixed"), "names no version after which"),
        (_note(end="kombu > 99.9 has it"), "names no version after which"),
    ],
)
def test_a_note_that_is_incomplete_or_outdated_is_noticed(docstring: str, complaint: str) -> None:
    assert complaint in upstream_note(docstring)


def test_a_complete_note_is_accepted() -> None:
    assert upstream_note(_note()) == ""
