"""A project of three tiny packages in a folder, which the real Makefile sets up."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.setup.locks import ROOT
from tests.setup.wheels import Package, build_index

#: What the project is made of: `carrier` requires `cargo` with an extra and without an upper bound.
LOCKED = [
    Package("carrier", "1.0", requires=("cargo[heavy]>=1",)),
    Package("cargo", "1.0", extras=("heavy",)),
    Package("checker", "1.0", requires=("cargo[heavy]>=1",)),
]
#: What came out after the lock was made.
NEWER = [Package("carrier", "2.0"), Package("cargo", "1.1", extras=("heavy",)), Package("checker", "1.5")]

_PYPROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""

#: An editable install needs a build backend; this one resolves and downloads nothing.
_BACKEND = """import pathlib, sys
sys.path.insert(0, {root!r})
from tests.setup.wheels import Package, build_wheel

def build_editable(folder, config_settings=None, metadata_directory=None):
    return build_wheel(Package("project", "0.1", requires=("carrier>=1,<2",)), pathlib.Path(folder)).path.name
"""


class Project:
    """The project, its index and its `.venv`.

    Args:
        folder: where to write all of it.
        python: path of the program that makes the environment.
    """

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder / "project"
        self._python = python
        self._index = folder / "index"
        self._wheels = build_index([*LOCKED, *NEWER], self._index)
        self.folder.mkdir()
        shutil.copy(ROOT / "Makefile", self.folder)
        (self.folder / "pyproject.toml").write_text(_PYPROJECT)
        (self.folder / "backend.py").write_text(_BACKEND.format(root=str(ROOT)))
        self.lock("requirements-demo.lock", "carrier", "cargo")
        self.lock("requirements.lock", "carrier", "cargo", "checker")

    def lock(self, name: str, *packages: str) -> None:
        """Write a lock file that pins release 1.0 of these packages."""
        (self.folder / name).write_text(
            "".join(self._wheels[package, "1.0"].locked() for package in packages)
        )

    def make(self, target: str) -> "subprocess.CompletedProcess[str]":
        """Run `make` in the project, with its index and nothing else of this machine's settings of pip."""
        environment = {
            "HOME": str(self.folder),
            "PATH": os.environ["PATH"],
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self._index.as_uri(),
            "PIP_NO_CACHE_DIR": "1",
        }
        command = ["make", target, f"PYTHON={self._python}"]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def installed(self) -> set[str]:
        """Return what the environment holds besides pip and setuptools, as `name==version`."""
        found = (self.folder / ".venv").glob("lib/python*/site-packages/*.dist-info")
        names = {path.name.removesuffix(".dist-info").replace("-", "==") for path in found}
        return {name for name in names if name.split("==")[0] not in ("pip", "setuptools")}
