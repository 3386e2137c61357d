"""`make demo`, run as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT, environment


@pytest.mark.timeout(400)
def test_the_demo_ends_with_all_counts_right(tmp_path: Path) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "examples.demo"],
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "checks agree with the caller's records" in demo.stdout
