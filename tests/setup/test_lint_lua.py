"""`make lint` checks each Lua script as the server gets it."""

import runpy
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests.setup.locks import ROOT

needs_luacheck = pytest.mark.skipif(
    not shutil.which("luacheck"), reason="luacheck is not installed: apt-get install lua-check"
)

_PROGRAM = ROOT / ".ci" / "lint_lua.py"


@pytest.fixture(scope="module")
def lint() -> dict[str, Any]:
    return runpy.run_path(str(_PROGRAM))


@needs_luacheck
@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("local unused = 1", "unused variable 'unused'"),
        ("print('x')", "accessing undefined variable 'print'"),
        ("count = 1", "setting non-standard global variable 'count'"),
        ("a = function(now) return 1 end", "unused argument 'now'"),
        ("a = tonumber(1 2)", "expected ')' near '2'"),
    ],
)
def test_a_mistake_is_found_and_shown(lint: dict[str, Any], line: str, what: str) -> None:
    sources = {
        "sessions/good": "return redis.call('GET', KEYS[1])",
        "jobs/bad": f"local a = ARGV[1]\n{line}\nreturn a",
    }
    [found] = [each for each in lint["check"](sources) if what in each.what]
    assert (found.script, found.line) == ("jobs/bad", line)


_SENT = """local prefix = ARGV[1]
local LIMIT = 7
local function read(key)
  return redis.call('GET', prefix .. key, LIMIT)
end
local function own()
  return prefix
end
return read(own())
"""


@needs_luacheck
def test_a_function_of_a_library_that_reads_a_variable_of_the_script_is_found(lint: dict[str, Any]) -> None:
    body = _SENT[: _SENT.index("local LIMIT")] + _SENT[_SENT.index("local function own") :]
    body = body.replace("  return prefix", "  -- A comment, which is not sent.\n  return prefix")
    source = lint["with_libraries_first"](body, _SENT)
    assert source.index("LIMIT") < source.index("function read") < source.index("ARGV") < source.index("own")
    assert lint["check"]({"jobs/read": _SENT}) == []
    [found] = lint["check"]({"jobs/read": source})
    assert "accessing undefined variable 'prefix'" in found.what
    assert found.line == "return redis.call('GET', prefix .. key, LIMIT)"


def test_all_scripts_are_looked_at(lint: dict[str, Any]) -> None:
    files = [path for path in (ROOT / "manager").rglob("*.lua") if path.parent.name != "lib"]
    assert {name.rpartition("/")[2] for name in lint["names"]()} == {path.stem for path in files}


@pytest.mark.parametrize(("ci", "status"), [({}, 0), ({"CI": "true"}, 1)], ids=["laptop", "CI"])
def test_without_luacheck_it_says_so_and_fails_in_ci(ci: dict[str, str], status: int) -> None:
    done = subprocess.run(
        [sys.executable, str(_PROGRAM)], env={"PATH": "", **ci}, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    assert "apt-get install lua-check" in done.stdout
