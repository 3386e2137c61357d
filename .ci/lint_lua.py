"""Run luacheck on each Lua script in two forms.

As sent to the server, and with what comes from libraries moved to the front. A function of a library must
read no variable of the script. As sent, the function stands below the variable and could.

Exit with 1 on a finding, or if luacheck is missing in CI. Elsewhere, say that it is missing and exit with 0:
no lock file can bring luacheck, Debian (`apt-get install lua-check`) and LuaRocks can.

    python .ci/lint_lua.py
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from agent_runtime.manager.transport.script import load_script

_ROOT = Path(str(files("agent_runtime.manager.scripts"))) / "lua"

#: All globals that Redis and Valkey offer a script. Reading any other is an error on the server.
_GLOBALS = (
    "KEYS ARGV redis cjson cmsgpack struct bit assert collectgarbage coroutine error getmetatable ipairs "
    "math next os pairs pcall rawequal rawget rawset select setmetatable string table tonumber tostring "
    "type unpack xpcall"
)
_MISSING = "Lua NOT CHECKED: luacheck is not installed (Debian: apt-get install lua-check)"
_FINDING = re.compile(r"^\s+(?P<script>.+?)\.lua:(?P<number>\d+):\d+: (?P<what>.+)$")


#: A function or a constant of a library, as it stands in a script.
_DEFINITION = re.compile(r"^local (?:function .*?^end|[A-Z_]+ = [^\n]*)$\n?", re.MULTILINE | re.DOTALL)

#: In a script as sent, variables of the script stand above functions with parameters of the same name.
_SENT = ("--ignore", "431")


class Finding(NamedTuple):
    """One complaint: name of the script, luacheck's words, and the line of source."""

    script: str
    what: str
    line: str


def check(sources: Mapping[str, str], *options: str) -> list[Finding]:
    """Return luacheck's findings in scripts, given as source by name.

    Raises:
        RuntimeError: luacheck itself failed.
    """
    command = ["luacheck", ".", "--std", "none", "--codes", "--no-color", *options, "--read-globals"]
    with tempfile.TemporaryDirectory() as folder:
        for name, source in sources.items():
            path = Path(folder, f"{name}.lua")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        done = subprocess.run(  # noqa: S603
            [*command, *_GLOBALS.split()], cwd=folder, capture_output=True, text=True, check=False
        )
    matches = [match for line in done.stdout.splitlines() if (match := _FINDING.match(line))]
    if bool(done.returncode) != bool(matches):
        raise RuntimeError(f"luacheck ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return [_finding(sources, **match.groupdict()) for match in matches]


def _finding(sources: Mapping[str, str], script: str, number: str, what: str) -> Finding:
    script = script.removeprefix("./")
    return Finding(script, what, sources[script].splitlines()[int(number) - 1].strip())


def names() -> list[str]:
    """Return the name of every script of the manager, `<folder>/<verb_noun>`."""
    paths = sorted(path.relative_to(_ROOT) for path in _ROOT.glob("*/*.lua"))
    return [str(path.with_suffix("")) for path in paths if path.parent.name != "lib"]


def _body(name: str) -> str:
    return (_ROOT / f"{name}.lua").read_text()


def with_libraries_first(body: str, sent: str) -> str:
    """Return a script with what the loader put into its body moved to the front.

    Args:
        body: the text of the script's own file.
        sent: the script as sent.
    """
    added = [found[0] for found in _DEFINITION.finditer(sent) if found[0].split("\n")[0] not in body]
    for definition in added:
        sent = sent.replace(definition, "", 1)
    return "".join(added) + sent


def main() -> int:
    """Check every script, print the findings, and return the exit status."""
    if not shutil.which("luacheck"):
        print(_MISSING)  # noqa: T201
        return int("CI" in os.environ)
    sent = {name: load_script(name).source for name in names()}
    found = check(sent, *_SENT) + check(
        {name: with_libraries_first(_body(name), sent[name]) for name in sent}
    )
    # What is wrong with a library is wrong with each script that uses the library: once is enough.
    once = {(each.what, each.line): each for each in found}
    for each in once.values():
        print(f"{each.script}: {each.what}\n    {each.line}")  # noqa: T201
    print(f"{len(sent)} Lua scripts checked, {len(once)} findings")  # noqa: T201
    return int(bool(once) or not sent)


if __name__ == "__main__":
    sys.exit(main())
