"""Lua scripts from files: one file per operation, behind the libraries that its header names."""

import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import NamedTuple

_FOLDER = files("agent_runtime.manager.scripts") / "lua"
#: A function, or a constant on a line of its own.
_DEFINITION = re.compile(
    r"^local (?:function (\w+)\(.*?^end|([A-Z_]+) = [^\n]*[^{\n])$\n?", re.MULTILINE | re.DOTALL
)
_USES = re.compile(r"^-- Uses: (.+)$", re.MULTILINE)
#: A statement that stands in no other, with its lines; and such an `if` without an `else`.
_STATEMENT = re.compile(r"^(?!end\b|else)[^\s})].*\n(?:(?:\s|end\b|else|[})]).*\n)*", re.MULTILINE)
_ONE_BLOCK = re.compile(r"if .* then\n(?:\s.*\n)*end\n\Z")

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
    """Return a script by its file below `scripts/lua/`, as in `sessions/get_sessions`."""
    body = (_FOLDER / f"{name}.lua").read_text()
    uses = _USES.search(body)
    libraries = [
        (_FOLDER / "lib" / f"{library}.lua").read_text()
        for library in (uses.group(1).split() if uses else ())
    ]
    source = _joined(_without_comments("".join(libraries)), _without_comments(body))
    return Script(
        name.rpartition("/")[2], source, hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    )


def _without_comments(source: str) -> str:
    """Drop comments and empty lines: the server need not keep what is there for readers."""
    lines = (line for line in source.splitlines() if line.strip() and not line.lstrip().startswith("--"))
    return "".join(f"{line}\n" for line in lines)


def _joined(libraries: str, body: str) -> str:
    """Put what the body uses of the libraries right before the first statement that uses it.

    A server makes every function of a script anew for each call, which is a tenth of the time of a short one.
    So a script that ends early makes no function that only its end uses, and what only one `if` block uses is
    made within this block.
    """
    definitions = {found[1] or found[2]: found[0] for found in _DEFINITION.finditer(libraries)}
    statements = _STATEMENT.findall(body)
    uses = [_needed_by(statement, definitions) for statement in statements]
    parts, made = list[str](), set[str]()
    for number, statement in enumerate(statements):
        head, rest = statement.split("\n", 1)
        new, inside = uses[number] - made, set[str]()
        if _ONE_BLOCK.match(statement):
            inside = new.difference(_needed_by(head, definitions), *uses[number + 1 :])
        parts += [text for name, text in definitions.items() if name in new - inside]
        parts += [head, "\n", *(text for name, text in definitions.items() if name in inside), rest]
        made |= new
    return "".join(parts)


def _needed_by(source: str, definitions: Mapping[str, str]) -> set[str]:
    """Return the names of the definitions that a part of a script uses, directly or through others."""
    found = _used_in(source) & definitions.keys()
    pending = list(found)
    while pending:
        new = (_used_in(definitions[pending.pop()]) & definitions.keys()) - found
        found |= new
        pending += new
    return found


def _used_in(source: str) -> set[str]:
    """Return the names of the functions that this part of a script calls, and of the constants in it."""
    code = _TEXT.sub("''", source)
    return {name for names in _CALL.findall(code) for name in names if name} | set(_CONSTANT.findall(code))
