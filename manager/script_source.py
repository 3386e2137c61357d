"""Lua scripts from files: one file per operation, with the shared parts that its header names in front."""

import hashlib
import re
from importlib.resources import files
from typing import NamedTuple

_FOLDER = files("manager") / "lua"
_USES = re.compile(r"^-- Uses: (.+)$", re.MULTILINE)


class Script(NamedTuple):
    """A script as the server gets it, and the name the server gives it."""

    name: str
    source: str
    sha: str


def load_script(name: str) -> Script:
    """The script in `lua/<name>.lua`."""
    body = (_FOLDER / f"{name}.lua").read_text()
    uses = _USES.search(body)
    shared = [
        (_FOLDER / "shared" / f"{part}.lua").read_text() for part in (uses.group(1).split() if uses else ())
    ]
    source = _without_comments("".join([*shared, body]))
    return Script(name, source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


def _without_comments(source: str) -> str:
    """The server need not keep what is there for readers."""
    lines = (line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("--"))
    return "\n".join(lines)
