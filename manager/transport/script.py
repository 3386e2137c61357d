"""Lua scripts from files: one file per operation, behind the libraries that its header names."""

import hashlib
import re
from importlib.resources import files
from typing import NamedTuple

_FOLDER = files("agent_runtime.manager.scripts") / "lua"
_FUNCTION = re.compile(r"^local function (\w+)\(.*?^end$\n?", re.MULTILINE | re.DOTALL)
_USES = re.compile(r"^-- Uses: (.+)$", re.MULTILINE)

#: A text in Lua. A name within it calls nothing.
_TEXT = re.compile(r"""'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*\"""")
#: A call: a name before a parenthesis, neither field nor method; or a name handed to `attempt` or `pcall`.
_CALL = re.compile(r"(?<![\w.:])(?:(attempt|pcall)\s*\(\s*(\w+)|(\w+)\s*\()")


class Script(NamedTuple):
    """A script as the server gets it, and the name the server gives it."""

    name: str
    source: str
    sha: str


def load_script(name: str) -> Script:
    """Return a script by its file below `scripts/lua/`, as in `sessions/get_session`."""
    body = (_FOLDER / f"{name}.lua").read_text()
    uses = _USES.search(body)
    libraries = [
        (_FOLDER / "lib" / f"{library}.lua").read_text()
        for library in (uses.group(1).split() if uses else ())
    ]
    source = _without_unused(_without_comments("".join([*libraries, body])))
    return Script(
        name.rpartition("/")[2], source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    )


def _without_comments(source: str) -> str:
    """Drop comments and empty lines: the server need not keep what is there for readers."""
    lines = (line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("--"))
    return "\n".join(lines)


def _without_unused(source: str) -> str:
    """Drop functions that nothing behind them calls: a server makes every function of a script anew for each
    call.
    """
    kept: list[str] = []  # from the last to the first
    called: set[str] = set()
    end = len(source)
    for function in reversed(list(_FUNCTION.finditer(source))):
        behind = source[function.end() : end]
        called |= _called_in(behind)
        kept.append(behind)
        if function[1] in called:
            called |= _called_in(function[0])
            kept.append(function[0])
        end = function.start()
    kept.append(source[:end])
    return "".join(reversed(kept))


def _called_in(source: str) -> set[str]:
    """Return the names of the functions that this part of a script calls."""
    return {name for names in _CALL.findall(_TEXT.sub("''", source)) for name in names if name}
