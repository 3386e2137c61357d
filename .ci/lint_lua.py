"""Run luacheck on each Lua script as the server gets it: with the functions of libraries that it uses.

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

#: All globals that Redis and Valkey offer a script. Reading any other is an error on the server.
_GLOBALS = (
    "KEYS ARGV redis cjson cmsgpack struct bit assert collectgarbage coroutine error getmetatable ipairs "
    "math next os pairs pcall rawequal rawget rawset select setmetatable string table tonumber tostring "
    "type unpack xpcall"
)
_MISSING = "Lua NOT CHECKED: luacheck is not installed (Debian: apt-get install lua-check)"
_FINDING = re.compile(r"^\s+(?P<script>.+?)\.lua:(?P<number>\d+):\d+: (?P<what>.+)$")


class Finding(NamedTuple):
    """One complaint: name of the script, luacheck's words, and the line of source."""

    script: str
    what: str
    line: str


def check(sources: Mapping[str, str], luacheck: str = "luacheck") -> list[Finding]:
    """Return luacheck's findings in scripts, given as source by name.

    Raises:
        RuntimeError: luacheck itself failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, source in sources.items():
            path = Path(folder, f"{name}.lua")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        command = [
            luacheck,
            ".",
            "--std",
            "none",
            "--codes",
            # Libraries' functions stand behind the first lines of a script, so their parameters shadow its
            # variables. That no variable shadows a function is tested (tests/lua/test_headers.py).
            "--ignore",
            "431",
            "--no-color",
            "--read-globals",
            *_GLOBALS.split(),
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    matches = [match for line in done.stdout.splitlines() if (match := _FINDING.match(line))]
    if bool(done.returncode) != bool(matches):
        raise RuntimeError(f"luacheck ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return [_finding(sources, **match.groupdict()) for match in matches]


def _finding(sources: Mapping[str, str], script: str, number: str, what: str) -> Finding:
    script = script.removeprefix("./")
    return Finding(script, what, sources[script].splitlines()[int(number) - 1].strip())


def assembled() -> dict[str, str]:
    """Return the source of every script of the manager by its name, `<folder>/<verb_noun>`."""
    root = Path(str(files("agent_runtime.manager.scripts"))) / "lua"
    paths = sorted(path.relative_to(root) for path in root.glob("*/*.lua"))
    names = [str(path.with_suffix("")) for path in paths if path.parent.name != "lib"]
    return {name: load_script(name).source for name in names}


def main() -> int:
    """Check every script, print what is found, and return the exit status."""
    if not shutil.which("luacheck"):
        print(_MISSING)  # noqa: T201
        return int("CI" in os.environ)
    sources = assembled()
    found = check(sources)
    for each in found:
        print(f"{each.script}: {each.what}\n    {each.line}")  # noqa: T201
    print(f"{len(sources)} Lua scripts checked, {len(found)} findings")  # noqa: T201
    return int(bool(found) or not sources)


if __name__ == "__main__":
    sys.exit(main())
