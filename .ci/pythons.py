"""Print the supported interpreters of this machine, oldest first: `<version> <path>` on each line.

Supported is what the classifiers in pyproject.toml say. Look on the PATH, then among the versions of pyenv.

    python .ci/pythons.py
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

_PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")


def supported() -> list[str]:
    """Return the supported versions of Python, such as `3.11`, oldest first."""
    classifiers = tomllib.loads(_PYPROJECT.read_text())["project"]["classifiers"]
    versions = [match[1] for classifier in classifiers if (match := _CLASSIFIER.fullmatch(classifier))]
    return sorted(versions, key=lambda version: int(version.removeprefix("3.")))


def find(version: str) -> Path | None:
    """Return the path of an interpreter of that version which can make environments, or None."""
    return next((path for path in _candidates(version) if _works(path, version)), None)


def _candidates(version: str) -> Iterator[Path]:
    if found := shutil.which(f"python{version}"):
        yield Path(found)
        # pyenv's own, wherever HOME is now.
        yield from sorted(Path(found).parents[1].glob(f"versions/{version}.*/bin/python{version}"))
    if pyenv := shutil.which("pyenv"):
        asked = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)  # noqa: S603
        if asked.returncode == 0:
            yield from sorted(Path(asked.stdout.strip(), "versions").glob(f"{version}.*/bin/python{version}"))


def _works(path: Path, version: str) -> bool:
    """Return whether the program is that Python: pyenv puts programs on the PATH that only print an error."""
    source = "import ensurepip, sys, venv; print(*sys.version_info[:2], sep='.')"
    done = subprocess.run([path, "-c", source], capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode == 0 and done.stdout.strip() == version


def main() -> None:
    """Print each version and its interpreter; say on standard error which versions are missing."""
    for version in supported():
        path = find(version)
        if path:
            print(version, path)  # noqa: T201
        else:
            print(f"Python {version} is not on this machine: NOT TESTED", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
