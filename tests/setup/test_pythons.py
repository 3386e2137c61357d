"""CI finds every supported Python of its machine, on the PATH and with pyenv."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.setup.locks import ROOT
from tests.setup.old_pip import BASE

_HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def _find(path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / ".ci" / "pythons.py")]
    environment = {**os.environ, "PATH": str(path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def _program(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder on the PATH in which python3.<x> prints an error, as programs of pyenv do."""
    _program(tmp_path / "bin" / f"python{_HERE}", "echo command not found; exit 127")
    return tmp_path / "bin"


def test_a_python_on_the_path_is_found(tools: Path) -> None:
    own = _program(tools / f"python{_HERE}", f'exec {BASE} "$@"')
    assert f"{_HERE} {own}" in _find(tools).stdout.splitlines()


def test_a_program_of_that_name_that_does_not_run_is_passed_over(tools: Path) -> None:
    assert _find(tools).stdout == ""


def test_a_version_of_pyenv_is_found_behind_such_a_program(tools: Path) -> None:
    own = _program(tools.parent / "versions" / f"{_HERE}.4" / "bin" / f"python{_HERE}", f'exec {BASE} "$@"')
    _program(tools / "pyenv", f"echo {tools.parent}")
    assert f"{_HERE} {own}" in _find(tools).stdout.splitlines()


def test_another_version_under_that_name_is_not_taken_and_its_version_is_said_to_be_missing(
    tools: Path,
) -> None:
    other = "3.13" if _HERE != "3.13" else "3.12"
    _program(tools / f"python{other}", f'exec {BASE} "$@"')
    found = _find(tools)
    assert found.stdout == ""
    assert f"Python {other} is not on this machine" in found.stderr
