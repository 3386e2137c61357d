"""Lua scripts from files: one file per operation, behind the libraries that its header names."""

import hashlib
import re
from importlib.resources import files
from typing import NamedTuple

_FOLDER = files("agent_runtime.manager.scripts") / "lua"
#: A function, or a constant on a line of its own.
_DEFINITION = re.compile(
    r"^local (?:function (\w+)\(.*?^end|([A-Z_]+) = [^\n]*[^{\n])$\n?", re.MULTILINE | re.DOTALL
)
_USES = re.compile(r"^-- Uses: (.+)$", re.MULTILINE)

#: A text in Lua. A name within it uses nothing.
_TEXT = re.compile(r"""'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*\"""")
#: A call: a name before a parenthesis, neither field nor method; or a name handed to `attempt` or `pcall`.
_CALL = re.compile(r"(?<![\w.:])(?:(attempt|pcall)\s*\(\s*(\w+)|(\w+)\s*\()")
_CONSTANT = re.compile(r"(?<![\w.:])[A-Z_]+\b")


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
    """Drop functions and constants of which nothing behind them makes use.

    A server makes every function of a script anew for each call.
    """
    kept: list[str] = []  # from the last to the first
    used: set[str] = set()
    end = len(source)
    for definition in reversed(list(_DEFINITION.finditer(source))):
        behind = source[definition.end() : end]
        used |= _used_in(behind)
        kept.append(behind)
        if (definition[1] or definition[2]) in used:
            used |= _used_in(definition[0])
            kept.append(definition[0])
        end = definition.start()
    kept.append(source[:end])
    return "".join(reversed(kept))


def _used_in(source: str) -> set[str]:
    """Return the names of the functions that this part of a script calls, and of the constants in it."""
    code = _TEXT.sub("''", source)
    return {name for names in _CALL.findall(code) for name in names if name} | set(_CONSTANT.findall(code))
