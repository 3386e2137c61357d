"""A Python whose environments get the oldest pip that a supported Python brings."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: The pip that the first release of each Python brings (`ensurepip`).
OLDEST = {(3, 11): "22.3", (3, 12): "23.2.1", (3, 13): "24.2", (3, 14): "25.2"}

#: This Python, outside of its environment.
BASE = Path(sys._base_executable)  # type: ignore[attr-defined]

_PYTHON = """#!/bin/sh
set -e
'{python}' "$@" $([ "$1 $2" != "-m venv" ] || echo --without-pip)
if [ "$1 $2" = "-m venv" ]; then
  for environment; do :; done
  cp -r '{pip}'/* "$environment"/lib/python*/site-packages
fi
"""


def download_oldest_pip(folder: Path) -> Path:
    """Download the oldest pip that this Python brings, from the index that pip is configured with.

    Skip the test if the index does not answer; in CI, fail.
    """
    version = OLDEST[sys.version_info[:2]]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run(
        [*command, "--dest", str(folder), f"pip=={version}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = f"pip {version} cannot be downloaded: {done.stderr.strip()[-500:]}"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    return folder / f"pip-{version}-py3-none-any.whl"


def python_with(pip: Path, folder: Path) -> Path:
    """Write a program that is this Python, except that `-m venv` puts that pip into the environment.

    Args:
        pip: path of the wheel of a pip.
        folder: where to write the program, and the pip once unpacked and compiled.
    """
    command = [sys.executable, str(pip / "pip"), "install", "--quiet", "--no-index", "--target"]
    subprocess.run([*command, str(folder / "packages"), str(pip)], check=True)
    program = folder / "python"
    program.write_text(_PYTHON.format(python=BASE, pip=folder / "packages"))
    program.chmod(0o755)
    return program
