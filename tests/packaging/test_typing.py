"""What a type checker sees of the installed package."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.environments import Environment
from tests.support.processes import ROOT

_README = (ROOT / "README.md").read_text()
_PROGRAM = re.findall(r"```python\n(import asyncio.*?)```", _README, re.DOTALL)[0]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (_PROGRAM, "Success"),
        (_PROGRAM.replace('"user_123"', "123"), 'has incompatible type "int"; expected "str"'),
    ],
)
def test_a_strict_checker_reads_the_types_of_the_installed_package(
    installed: Environment, tmp_path: Path, program: str, said: str
) -> None:
    (tmp_path / "program.py").write_text(program)

    mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(installed.scripts.parent / "mypy")]
    checked = subprocess.run(
        [*mypy, "--strict", "--python-executable", str(installed.python), "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert said in checked.stdout + checked.stderr
