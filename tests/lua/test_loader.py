"""A script is sent with the functions and constants of its libraries that it uses, and with no other."""

import re
from pathlib import Path

import pytest

from agent_runtime.manager.transport import script
from agent_runtime.manager.transport.script import load_script

_LIBRARY = """\
local MOST = 100
local MARK = 'x'
local MARKED = MARK .. '*'

local function goes_on(state)
  return state == 'failed'
end

local function attempt(work, ...)
  return pcall(work, ...)
end

local function helper(key)
  return redis.call('GET', key)
end

local function work(key)
  return helper(key)
end
"""


def _sent(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> set[str]:
    """Return the names of the library's functions and constants that a script with this body is sent with."""
    for name, text in {"lib/jobs": _LIBRARY, "jobs/do_it": f"-- Do it.\n-- Uses: jobs\n{body}\n"}.items():
        path = folder / f"{name}.lua"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(script, "_FOLDER", folder)
    sent = re.findall(r"^local (?:function )?(\w+)", load_script("jobs/do_it").source, re.MULTILINE)
    return set(sent) & set(re.findall(r"^local (?:function )?(\w+)", _LIBRARY, re.MULTILINE))


@pytest.mark.parametrize(
    "body",
    [
        "return work(KEYS[1])",
        "return work (KEYS[1])",
        "return pcall( work, KEYS[1])",
        "local state = work(KEYS[1])\nreturn state",
    ],
)
def test_a_function_that_is_called_is_sent_with_those_that_it_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    assert _sent(tmp_path, monkeypatch, body) == {"work", "helper"}


def test_a_function_that_is_handed_to_attempt_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _sent(tmp_path, monkeypatch, "return attempt(work, KEYS[1])") == {"attempt", "work", "helper"}


@pytest.mark.parametrize(
    "body",
    [
        "if ARGV[1] then\n  local goes_on = true\n  return goes_on\nend",
        "return redis.call('SET', KEYS[1], 'goes_on')",
        "return redis.call('SET', KEYS[1], 'goes_on()')",
        'return redis.call("SET", KEYS[1], "it\'s goes_on()")',
        "local reply = {}\nreply.goes_on = 1\nreturn reply",
        "local state = cjson.decode(ARGV[1])\nreturn state.goes_on()",
        "local state = cjson.decode(ARGV[1])\nreturn state:goes_on()",
        "local it_goes_on = tonumber\nreturn it_goes_on('1')",
    ],
    ids=[
        "variable",
        "text",
        "call in a text",
        "text with a quote",
        "field",
        "field called",
        "method",
        "suffix",
    ],
)
def test_a_variable_a_text_or_a_field_of_the_same_name_is_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    assert _sent(tmp_path, monkeypatch, body) == set()


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ("return MOST", {"MOST"}),
        ("if ARGV[1] == MARKED then\n  return 1\nend", {"MARK", "MARKED"}),
        ("return redis.call('SET', KEYS[1], 'MOST')", set()),
        ("local reply = {}\nreply.MOST = 1\nreturn reply", set()),
        ("return MOST_OF_ALL", set()),
    ],
    ids=["read", "made of another", "text", "field", "longer name"],
)
def test_a_constant_is_sent_if_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, sent: set[str]
) -> None:
    assert _sent(tmp_path, monkeypatch, body) == sent
