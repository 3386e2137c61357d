"""Made-up releases that are newer than those in the lock file."""

import importlib.metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.setup.locks import FULL, read_lock
from tests.setup.wheels import Package, build_wheel


def offer_newer_releases(folder: Path) -> list[str]:
    """Fill a folder with a newer release of each locked package that another one requires with an extra.

    A resolver takes such a release: requirements with extras are where pip looks beyond a lock.

    Returns:
        `name==version` of each release.
    """
    extras: dict[str, set[str]] = {}
    for distribution in importlib.metadata.distributions():
        for asked in map(Requirement, distribution.requires or ()):
            if asked.extras:
                extras.setdefault(canonicalize_name(asked.name), set()).update(asked.extras)
    offered = [
        Package(entry.name, _newer(entry.version), extras=sorted(extras[entry.name]))
        for entry in read_lock(FULL)
        if entry.name in extras
    ]
    return [build_wheel(package, folder).package.pin for package in offered]


def _newer(version: str) -> str:
    """Return a later version that upper bounds of the next major or minor release let through."""
    return ".".join(map(str, (*Version(version).release[:-1], 9999)))
