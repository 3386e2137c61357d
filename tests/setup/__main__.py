"""`make fresh`: clone, `make demo` and `make setup` as on a machine that has never seen this project.

The clone gets an empty environment, a new HOME and no cache of pip. It is offered newer releases of all
packages that are required with extras. Print how long each step takes. Exit with 1 if anything but what is
locked is installed, if the demo fails, or if set-up takes too much CPU time.
"""

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.setup.locks import DEMO, FULL, ROOT, read_lock
from tests.setup.newer import offer_newer_releases
from tests.setup.old_pip import BASE

#: CPU time that clone and set-up of the demo may take, seconds. They take 18 alone on 2 cores, and 33 under
#: five times the load that those can carry. Time on the clock would tell of the load instead of the set-up.
_MOST_CPU_SECONDS = 60.0

#: Variables that say how a package index is reached. No others are kept.
_REACH = re.compile(r"PIP_(EXTRA_)?INDEX_URL|PIP_CERT|PIP_TRUSTED_HOST|SSL_CERT_\w+|\w+_proxy", re.IGNORECASE)

#: Installed by `venv` or as this project itself.
_NOT_LOCKED = {"pip", "setuptools", "agent-sessions"}


class Clone:
    """A clone of the last commit, in a folder of its own, and the environment variables of its programs."""

    def __init__(self, folder: Path, newer: Path) -> None:
        self.folder = folder / "clone"
        home = folder / "home"
        home.mkdir()
        kept = {name: value for name, value in os.environ.items() if _REACH.fullmatch(name)}
        ours = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
        self._environment = {**kept, **ours, "PIP_NO_CACHE_DIR": "1", "PIP_FIND_LINKS": str(newer)}

    def run(self, *command: str, **arguments: Path) -> None:
        """Run a program to its end.

        Raises:
            subprocess.CalledProcessError: the program failed.
        """
        subprocess.run(command, env=self._environment, check=True, **arguments)  # type: ignore[call-overload]

    def make(self, target: str) -> None:
        """Run `make` in the clone."""
        self.run("make", "--silent", target, f"PYTHON={BASE}", cwd=self.folder)

    def start_demo(self) -> "subprocess.Popen[str]":
        """Start `make demo`, and return when its first line is there."""
        command = ["make", "--silent", "demo", f"PYTHON={BASE}"]
        demo = subprocess.Popen(
            command, cwd=self.folder, env=self._environment, stdout=subprocess.PIPE, text=True
        )
        assert demo.stdout is not None
        demo.stdout.readline()
        return demo

    def differences(self, lock: Path) -> list[str]:
        """Return how the packages in the environment differ from those that a lock file names."""
        command = [str(self.folder / ".venv/bin/python"), "-m", "pip", "list", "--format", "json"]
        listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        locked = {entry.name: entry.version for entry in read_lock(lock) if entry.applies()}
        installed = {canonicalize_name(each["name"]): each["version"] for each in listed}
        for name in _NOT_LOCKED - locked.keys():
            installed.pop(canonicalize_name(name), None)
        return [
            f"{name}: installed {installed.get(name)}, locked {locked.get(name)}"
            for name in sorted(installed.keys() | locked.keys())
            if installed.get(name) != locked.get(name)
        ]


@contextmanager
def _timed(name: str) -> Iterator[None]:
    """Print how long the block took, and the CPU time of all programs that ended in it."""
    began, used = time.monotonic(), _cpu_seconds()
    yield
    _say(f"{name:30} {time.monotonic() - began:6.1f} s {_cpu_seconds() - used:6.1f} s of CPU time")


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _run(folder: Path) -> list[str]:
    """Run all steps in an empty folder, and return what went wrong."""
    _say(f"offered {' '.join(offer_newer_releases(folder / 'newer'))}")
    clone = Clone(folder, folder / "newer")
    began, used = time.monotonic(), _cpu_seconds()
    with _timed("clone"):
        clone.run("git", "clone", "--quiet", str(ROOT), str(clone.folder))
    with _timed("set-up of the demo"):
        clone.make(".venv/package")
    used = _cpu_seconds() - used
    with _timed("first line of the demo"):
        demo = clone.start_demo()
    _say(f"{'from clone to first line':30} {time.monotonic() - began:6.1f} s")
    with _timed("rest of the demo"):
        told, _ = demo.communicate()
    wrong = clone.differences(DEMO)
    with _timed("set-up of the rest"):
        clone.make("setup")
    wrong += clone.differences(FULL)
    if demo.returncode:
        wrong.append(f"the demo ended with {demo.returncode}:\n{told}")
    if used > _MOST_CPU_SECONDS:
        wrong.append(
            f"clone and set-up of the demo took {used:.1f} s of CPU time, at most {_MOST_CPU_SECONDS} allowed"
        )
    return wrong


def main() -> int:
    """Run all steps, print what went wrong, and return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        wrong = _run(Path(folder))
    _say("\n".join(wrong) or "what is locked is installed, and the demo runs")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
