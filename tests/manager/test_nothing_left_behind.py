"""The check that runs after every test reports what it should, and lets pass what it should."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.support import planted_leaks
from tests.support.leftovers import find_leftovers, remove_namespace

_ROOT = Path(__file__).parents[2]

EXPECTED = {
    "immortal": ["no time to live"],
    "ghost_of_user": ["ghost: .*u:ann"],
    "ghost_of_agent": ["ghost: .*a:bot"],
    "ghost_of_expiry": ["ghost: .*}:x'"],
    "lost": ["lost: .*u:ann", "lost: .*a:bot", "lost: .*}:x'"],
}


@pytest.mark.parametrize("kind", planted_leaks.PLANTED)
def test_a_planted_leak_is_reported(raw: redis.Redis, namespace: str, kind: str) -> None:
    planted_leaks.plant(raw, namespace, planted_leaks.PLANTED[kind])
    found = find_leftovers(raw, namespace)
    remove_namespace(raw, namespace)
    assert len(found) == len(EXPECTED[kind])
    for pattern in EXPECTED[kind]:
        assert [line for line in found if re.match(pattern, line)], f"{pattern} not in {found}"


def test_the_fixture_fails_every_test_that_leaves_something_behind() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, "tests/support/planted_leaks.py"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    tests, leaks = len(planted_leaks.PLANTED) + 1, len(planted_leaks.PLANTED)
    assert f"{tests} passed, {leaks} errors" in run.stdout, run.stdout + run.stderr
    assert run.stdout.count("left behind:") >= leaks
