"""A script is sent with what it uses of the libraries, in front of the first statement that uses it."""

from pathlib import Path

import pytest
import redis

from agent_runtime.manager.transport import script
from agent_runtime.manager.transport.script import load_script

_LIBRARY = """
-- A library.
local LIMIT = 3
local OTHER = 7

local function low()
  return LIMIT
end

local function high()
  return low() + 10
end

local function unused()
  return OTHER
end
"""

#: Bodies, their arguments, and what they answer. Each begins with `local n = tonumber(ARGV[1])`.
_BODIES: dict[str, tuple[str, list[int], list[int]]] = {
    "used throughout": ("local a = low()\nreturn a + high() + n\n", [1], [17]),
    "used at the end": ("if n == 1 then\n  return 0\nend\nreturn high()\n", [1, 2], [0, 13]),
    "used in one block": ("if n == 1 then\n  return high()\nend\nreturn 0\n", [1, 2], [13, 0]),
    "used in a condition and its block": (
        "if low() == n then\n  return low()\nend\nreturn 0\n",
        [3, 4],
        [3, 0],
    ),
    "used in a block and behind it": (
        "if n == 1 then\n  return low()\nend\nreturn high()\n",
        [1, 2],
        [3, 13],
    ),
    "used in one of two branches": (
        "if n == 1 then\n  return high()\nelse\n  return low()\nend\n",
        [1, 2],
        [13, 3],
    ),
    "used in two blocks": (
        "local a = 0\nif n > 0 then\n  a = low()\nend\nif n > 1 then\n  a = a + high()\nend\nreturn a\n",
        [0, 1, 2],
        [0, 3, 16],
    ),
    "used in a loop": ("local a = 0\nfor i = 1, n do\n  a = a + low()\nend\nreturn a\n", [0, 2], [0, 6]),
    "used by a function of its own": (
        "local function own()\n  return high()\nend\nreturn own() + n\n",
        [1],
        [14],
    ),
    "not used": ("local low_water = n\nreturn low_water\n", [5], [5]),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "some.lua").write_text(_LIBRARY)
    monkeypatch.setattr(script, "_FOLDER", tmp_path)
    return tmp_path


def _loaded(folder: Path, body: str) -> str:
    (folder / "made_up.lua").write_text(
        f"-- Does something.\n-- Uses: some\nlocal n = tonumber(ARGV[1])\n\n{body}"
    )
    return load_script("made_up").source


@pytest.mark.parametrize("case", _BODIES)
def test_it_answers_as_if_the_whole_library_stood_in_front(folder: Path, raw: redis.Redis, case: str) -> None:
    body, arguments, answers = _BODIES[case]
    source = _loaded(folder, body)
    assert [raw.eval(source, 0, argument) for argument in arguments] == answers
    whole = f"{_LIBRARY}\nlocal n = tonumber(ARGV[1])\n{body}"
    assert [raw.eval(whole, 0, argument) for argument in arguments] == answers
    assert "unused" not in source
    assert "OTHER" not in source


def test_a_script_that_ends_early_makes_no_function_that_only_its_end_uses(folder: Path) -> None:
    source = _loaded(folder, _BODIES["used at the end"][0])
    assert source.index("return 0") < source.index("local function low") < source.index("local function high")


def test_what_one_block_uses_is_made_within_it(folder: Path) -> None:
    source = _loaded(folder, _BODIES["used in one block"][0])
    assert source.index("if n == 1 then") < source.index("local function high") < source.index("return 0")


def test_each_part_is_sent_once(folder: Path) -> None:
    for body, _, _ in _BODIES.values():
        source = _loaded(folder, body)
        assert max(source.count(part) for part in ("local LIMIT", "function low", "function high")) <= 1
