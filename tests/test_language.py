"""The prose of the project keeps the rules of CONTRIBUTING.md. Figures: python -m tests.support.language"""

import pytest

from tests.support.language import (
    begins_with_a_question,
    conditions_with_where,
    docstrings,
    prose,
)
from tests.support.processes import ROOT

#: Of all docstrings that are installed.
LARGEST_SHARE_OF_QUESTIONS = 0.03


def test_docstrings_begin_with_a_verb_and_not_with_a_question_word() -> None:
    written = docstrings()
    questions = [each for each in written if begins_with_a_question(each.text)]

    assert len(written) > 500
    shown = "\n".join(f"{each.path.relative_to(ROOT)}:{each.line}: {each.text[:60]}" for each in questions)
    assert len(questions) < LARGEST_SHARE_OF_QUESTIONS * len(written), shown


def test_where_is_a_place() -> None:
    written = list(prose())
    hits = [
        f"{each.path.relative_to(ROOT)}:{each.line}: {found}"
        for each in written
        for found in conditions_with_where(each.text)
    ]

    assert len(written) > 1_000
    assert {each.path.suffix for each in written} == {".py", ".lua", ".md"}
    assert hits == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The session; None where it is not live.", ["where it is not live."]),
        ("Where a key has expired, it is gone.", ["Where a key has expired,"]),
        ("sealed where keys are set", ["where keys are set"]),
        ("one page, and where the next begins", []),
        ("Where the time goes", []),
        ("the folder where Redis keeps its data", []),
        ("whereas a page is", []),
    ],
)
def test_a_condition_is_told_from_a_place(text: str, found: list[str]) -> None:
    assert conditions_with_where(text) == found


@pytest.mark.parametrize(
    ("docstring", "is_question"),
    [
        ("Whether the session was live.", True),
        ("What a job does.", True),
        ("Of a pruning.", True),
        ("Return whether the session was live.", False),
        ("Whatever comes, return it.", False),
    ],
)
def test_a_question_word_is_the_whole_first_word(docstring: str, is_question: bool) -> None:
    assert begins_with_a_question(docstring) is is_question
