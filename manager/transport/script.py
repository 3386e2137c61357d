"""Lua scripts from files: one file per operation, with the shared parts that its header names in front."""

import hashlib
import re
from importlib.resources import files
from typing import NamedTuple

_FOLDER = files("agent_runtime.manager.scripts") / "lua"
_FUNCTION = re.compile(r"^local function (\w+)\(.*?^end$\n?", re.MULTILINE | re.DOTALL)
_USES = re.compile(r"^-- Uses: (.+)$", re.MULTILINE)


class Script(NamedTuple):
    """A script as the server gets it, and the name the server gives it."""

    name: str
    source: str
    sha: str


def load_script(name: str) -> Script:
    """The script in `scripts/lua/<name>.lua`; the name begins with its folder: `sessions/get_session`."""
    body = (_FOLDER / f"{name}.lua").read_text()
    uses = _USES.search(body)
    shared = [
        (_FOLDER / "lib" / f"{part}.lua").read_text() for part in (uses.group(1).split() if uses else ())
    ]
    source = _without_unused(_without_comments("".join([*shared, body])))
    return Script(
        name.rpartition("/")[2], source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    )


def _without_comments(source: str) -> str:
    """The server need not keep what is there for readers."""
    lines = (line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("--"))
    return "\n".join(lines)


def _without_unused(source: str) -> str:
    """A server makes every function of a script anew for each call, also those that it does not need."""
    for function in reversed(list(_FUNCTION.finditer(source))):
        rest = source[function.end() :]
        if not re.search(rf"\b{function[1]}\b", rest):
            source = source[: function.start()] + rest
    return source
