"""Names in the documents exist, and text that documents copy from the code matches it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_runtime.manager.settings import Settings
from tests.support.processes import ROOT
from tests.support.settings_pages import ALL, SOME, named, refreshed

DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for name in ("docs", "benchmarks", "tests") for path in ROOT.glob(f"{name}/**/*.md")),
    ]
)


def _text(document: Path) -> str:
    """Return the document without its blocks of code, in which `[…](…)` and `#` mean something else."""
    return re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)


def _anchors(document: Path) -> set[str]:
    """Return the names under which the headings of a document can be linked to."""
    headings = re.findall(r"^#+ (.+)$", _text(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _links(document: Path) -> Iterator[tuple[Path, str]]:
    """Yield file and anchor of each link to another place of the checkout."""
    for target in re.findall(r"\]\(([^)\s:]+)\)", _text(document)):
        path, _, anchor = target.partition("#")
        yield (document.parent / path).resolve() if path else document, anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for path, anchor in _links(document):
        assert path.exists(), path
        assert not anchor or anchor in _anchors(path), f"{path} has no heading for #{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_and_test_that_is_named_is_there(document: Path) -> None:
    folders = "tests|manager|tasks|worker|deploy|docs|examples|benchmarks"
    for name in re.findall(rf"`((?:{folders})/[\w./]+|test_\w+\.py)(?=[`:])", document.read_text()):
        assert (ROOT / name).exists() or list((ROOT / "tests").rglob(name)), name
    for name, test in re.findall(r"`([\w/]+\.py)::([\w:]+)", document.read_text()):
        path = ROOT / name if (ROOT / name).exists() else document.parent / name
        assert f"def {test.rpartition('::')[2]}(" in path.read_text(), f"{name} has no {test}"


def test_all_documents_can_be_reached_from_the_readme() -> None:
    reached, new = set(), {ROOT / "README.md"}
    while new:
        reached |= new
        new = {path for each in new for path, _ in _links(each) if path.suffix == ".md"} - reached
    assert set(DOCUMENTS) - reached == set()


def test_the_tables_of_settings_say_what_the_code_says() -> None:
    """To update the rows: python -m tests.support.settings_pages"""
    for page in (ALL, SOME):
        assert refreshed(page.read_text()) == page.read_text()


def test_each_setting_is_in_one_table_of_the_page_of_settings() -> None:
    assert sorted(named(ALL.read_text())) == sorted(Settings.model_fields)
    assert len(named(SOME.read_text())) == len(set(named(SOME.read_text()))) <= 10


def test_the_glossary_is_sorted_and_has_each_term_once() -> None:
    terms = re.findall(r"^\*\*(.+?)\*\*: ", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert len(terms) >= 30
    assert terms == sorted(set(terms), key=str.casefold)
