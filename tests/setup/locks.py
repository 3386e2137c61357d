"""The lock files, read as pip reads them."""

import re
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FULL, DEMO = ROOT / "requirements.lock", ROOT / "requirements-demo.lock"


class Locked(NamedTuple):
    """One entry of a lock file: package, version, marker ('' for none) and hashes."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]

    def applies(self, **environment: str) -> bool:
        """Return whether the entry is installed here, or where markers have these values."""
        marker = Requirement(f"{self.name} ; {self.marker}" if self.marker else self.name).marker
        return marker is None or marker.evaluate(environment or None)


def read_lock(path: Path) -> list[Locked]:
    """Return the entries of a lock file.

    Raises:
        ValueError: a line is neither an entry, pinned by `==` and hashes, nor a comment.
    """
    text = re.sub(r"^#.*$", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [_read_entry(line) for line in text.splitlines() if line.strip()]


def _read_entry(line: str) -> Locked:
    asked, *hashes = re.split(r"\s+--hash=", line.strip())
    requirement = Requirement(asked)
    pins = list(requirement.specifier)
    if len(pins) != 1 or pins[0].operator != "==" or requirement.url or not hashes:
        raise ValueError(f"not pinned by version and hash: {line[:200]}")
    name, marker = canonicalize_name(requirement.name), str(requirement.marker or "")
    return Locked(name, pins[0].version, marker, frozenset(hashes))
