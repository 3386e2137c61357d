"""The lock files agree with each other and with pyproject.toml, and name no place."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.setup.locks import DEMO, FULL, ROOT, read_lock

_PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

#: Every Python that the classifiers claim, on the systems that the servers in wheels exist for.
_PYTHONS = [
    classifier.rpartition(" ")[2]
    for classifier in _PYPROJECT["project"]["classifiers"]
    if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", classifier)
]
_SYSTEMS = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]


def _asked_for(*extras: str) -> Iterator[tuple[Requirement, str]]:
    """Yield each requirement of pyproject.toml with the extra that it is for ('' for none)."""
    project = _PYPROJECT["project"]
    for asked in project["dependencies"]:
        yield Requirement(asked), ""
    for asked in _PYPROJECT["dependency-groups"]["build"]:
        yield Requirement(asked), ""
    for extra in extras:
        for asked in project["optional-dependencies"][extra]:
            yield Requirement(asked), extra


@pytest.mark.parametrize("path", [FULL, DEMO], ids=["full", "demo"])
def test_every_entry_is_pinned_by_version_and_hash_and_names_no_place(path: Path) -> None:
    assert len(read_lock(path)) > 30
    assert not re.search(r"://|index-url|find-links|trusted-host", path.read_text())


def test_an_entry_without_version_or_hash_is_refused(tmp_path: Path) -> None:
    for wrong in (
        "six\n",
        "six==1.17.0\n",
        "six>=1 --hash=sha256:00\n",
        "six @ file:///six.whl --hash=sha256:00\n",
    ):
        (tmp_path / "wrong.lock").write_text(wrong)
        with pytest.raises(ValueError, match="not pinned"):
            read_lock(tmp_path / "wrong.lock")


def test_the_lock_of_the_demo_is_a_part_of_the_full_one() -> None:
    full, demo = set(read_lock(FULL)), set(read_lock(DEMO))
    assert demo < full


@pytest.mark.parametrize(("sys_platform", "platform_machine"), _SYSTEMS)
@pytest.mark.parametrize("python", _PYTHONS)
@pytest.mark.parametrize(("path", "extras"), [(FULL, ("demo", "encryption", "dev")), (DEMO, ("demo",))])
def test_every_requirement_has_a_locked_version(
    path: Path, extras: tuple[str, ...], python: str, sys_platform: str, platform_machine: str
) -> None:
    here = {
        "python_version": python,
        "python_full_version": f"{python}.4",
        "sys_platform": sys_platform,
        "platform_machine": platform_machine,
    }
    versions: dict[str, str] = {}
    for entry in read_lock(path):
        if entry.applies(**here):
            assert entry.name not in versions, "two entries for one environment"
            versions[entry.name] = entry.version
    for asked, extra in _asked_for(*extras):
        if asked.name == "agent-sessions":
            continue
        if asked.marker is None or asked.marker.evaluate({**here, "extra": extra}):
            version = versions.get(canonicalize_name(asked.name))
            assert version is not None, f"{asked} is not locked: make lock"
            assert asked.specifier.contains(version), f"{asked} and {version} do not agree: make lock"
