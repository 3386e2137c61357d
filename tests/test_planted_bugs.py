"""The list of planted bugs is up to date: `make planted` can plant each bug, and its test exists."""

import pytest

from tests.planted.bugs import ROOT, Bug, load_bugs, planted
from tests.planted.table import PAGE, page


@pytest.mark.parametrize("bug", load_bugs(), ids=lambda bug: f"{bug.area}: {bug.bug}")
def test_bug_can_be_planted(bug: Bug) -> None:
    assert planted(bug) != (ROOT / bug.file).read_text()
    tests = [word for word in bug.test.split() if word.startswith("tests/")]
    assert tests
    for test in tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).exists()
        assert not name or name.rpartition("::")[2].partition("[")[0] in (ROOT / path).read_text()


def test_the_page_of_planted_bugs_lists_them() -> None:
    """To update the page: python -m tests.planted.table"""
    assert page() == PAGE.read_text()
