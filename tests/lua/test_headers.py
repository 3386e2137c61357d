"""The header of each Lua script says how its body uses KEYS and ARGV, and nothing else."""

import re
from pathlib import Path

import pytest

from agent_runtime.manager.transport.script import load_script

_SCRIPTS = Path(__file__).parents[2] / "manager" / "scripts"
_LUA = _SCRIPTS / "lua"

#: Every script as `<folder>/<verb_noun>`.
SCRIPTS = sorted(
    f"{path.parent.name}/{path.stem}" for path in _LUA.glob("*/*.lua") if path.parent.name != "lib"
)
LIBRARIES = {path.stem: path.read_text() for path in (_LUA / "lib").glob("*.lua")}

VERBS = {
    "agree",
    "append",
    "begin",
    "check",
    "clear",
    "close",
    "complete",
    "control",
    "count",
    "create",
    "delete",
    "end",
    "erase",
    "fail",
    "get",
    "heartbeat",
    "keep",
    "list",
    "mark",
    "measure",
    "merge",
    "open",
    "pin",
    "prune",
    "read",
    "reclaim",
    "refresh",
    "restore",
    "rewrap",
    "save",
    "scan",
    "session",  # session_exists: a question
    "sweep",
    "take",
    "unpin",
    "update",
}

#: Words of a header for the type of a key.
TYPES = r"(hash|sorted set|string)\b"

every_script = pytest.mark.parametrize("name", SCRIPTS)


def _header_and_body(name: str) -> tuple[list[str], str]:
    lines = (_LUA / f"{name}.lua").read_text().splitlines()
    length = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return lines[:length], "\n".join(lines[length:])


def _named(array: str, text: str) -> set[int]:
    return {int(number) for number in re.findall(rf"\b{array}\[(\d+)\]", text)}


def _uses(name: str) -> list[str]:
    header, _ = _header_and_body(name)
    lines = [line for line in header if line.startswith("-- Uses: ")]
    assert len(lines) <= 1
    return lines[0].removeprefix("-- Uses: ").split() if lines else []


def _defined(source: str) -> set[str]:
    return set(re.findall(r"^local function (\w+)", source, re.MULTILINE))


def _code(source: str) -> str:
    """Return a script without its comments and texts, and without the names in function definitions."""
    code = re.sub(r"'[^'\n]*'", "''", re.sub(r"--.*", "", source))
    return re.sub(r"^local function \w+", "", code, flags=re.MULTILINE)


def _called(source: str) -> set[str]:
    code = _code(source)
    handed_on = set(re.findall(r"(?<!\.)\b(?:attempt|pcall)\((\w+)", code))
    return set(re.findall(r"(?<![.\w:])(\w+)\(", code)) | handed_on


def test_every_script_is_loaded_by_one_typed_function() -> None:
    source = "".join(path.read_text() for path in _SCRIPTS.glob("*.py"))
    constants = dict(re.findall(r'^(_[A-Z_]+) = load_script\("([\w/]+)"\)$', source, re.MULTILINE))
    assert sorted(constants.values()) == SCRIPTS
    for constant, name in constants.items():
        assert constant == f"_{name.partition('/')[2].upper()}"
        assert len(re.findall(rf"\b{constant}\b", source)) == 2, f"{constant}: made and used once"


@every_script
def test_its_file_is_named_by_what_it_does(name: str) -> None:
    stem = name.partition("/")[2]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", stem)
    assert stem.split("_")[0] in VERBS


@every_script
def test_its_header_begins_with_a_sentence_and_ends_with_the_replies(name: str) -> None:
    header, _ = _header_and_body(name)
    assert re.match(r"-- [A-Z][a-z]+ .+", header[0])
    assert re.match(r"-- Reply: .+", header[-1])
    order = [
        line.split()[1].split("[")[0] for line in header if re.match(r"-- (Uses:|KEYS|ARGV|Reply:)", line)
    ]
    assert order == sorted(order, key=["Uses:", "KEYS", "ARGV", "Reply:"].index)


@every_script
@pytest.mark.parametrize("array", ["KEYS", "ARGV"])
def test_its_header_names_what_its_body_takes(name: str, array: str) -> None:
    header, body = _header_and_body(name)
    lines = [line for line in header if f"{array}[" in line]
    named = [int(re.match(rf"-- {array}\[(\d+)\] \S", line).group(1)) for line in lines]
    assert named == list(range(1, len(named) + 1)), "one line each, in order"
    rest = re.search(rf"{array}\[(\d+)\] and on:", "\n".join(lines))
    if rest and array == "KEYS":
        assert re.search(r"\bKEYS\b(?!\[)", body), "all of them, in a loop or handed on"
        assert named.pop() == 1
    elif rest:
        assert f"first_field = {rest.group(1)}" in body or re.search(
            rf"first_field = .*\b{rest.group(1)}$", body, re.MULTILINE
        )
        assert int(rest.group(1)) == named.pop()
    assert _named(array, body) == set(named)
    if array == "KEYS":
        assert all(re.search(TYPES, line) for line in lines), "each with its type"


@every_script
def test_its_body_names_the_slots_first_and_knows_no_numbers_below(name: str) -> None:
    _, body = _header_and_body(name)
    binding, _, rest = body.partition("\n\n")
    assert all(re.match(r"local [\w, ]+ = ", line) for line in binding.splitlines())
    assert not re.search(r"\b(KEYS|ARGV)\[\d+\]", rest)


def _needed(body: str) -> set[str]:
    """Return the libraries of all functions that a body calls, directly or through others."""
    functions = {
        match[1]: (library, match[0])
        for library, source in LIBRARIES.items()
        for match in re.finditer(r"^local function (\w+)\(.*?^end$", source, re.MULTILINE | re.DOTALL)
    }
    found: set[str] = set()
    pending = [body]
    while pending:
        for function in (_called(pending.pop()) & functions.keys()) - found:
            found.add(function)
            pending.append(functions[function][1])
    return {functions[function][0] for function in found}


def test_no_function_is_in_two_libraries() -> None:
    every = [
        function
        for source in LIBRARIES.values()
        for function in re.findall(r"^local function (\w+)", source, re.MULTILINE)
    ]
    assert len(every) == len(set(every))


@every_script
def test_it_uses_the_libraries_that_it_needs_and_no_other(name: str) -> None:
    uses = _uses(name)
    assert len(uses) == len(set(uses))
    assert set(uses) == _needed(_header_and_body(name)[1])


@every_script
def test_each_function_stands_behind_those_that_it_calls(name: str) -> None:
    source = load_script(name).source
    everything = {function for library in LIBRARIES.values() for function in _defined(library)}
    known: set[str] = set()
    for function in re.finditer(r"^local function (\w+)\(.*?^end$", source, re.MULTILINE | re.DOTALL):
        known.add(function[1])
        assert _called(function[0]) & everything <= known, function[1]


@every_script
def test_it_is_sent_without_its_comments(name: str) -> None:
    assert "--" not in load_script(name).source


@every_script
def test_it_is_sent_with_the_functions_that_it_calls_and_no_other(name: str) -> None:
    source = load_script(name).source
    everything = {function for library in LIBRARIES.values() for function in _defined(library)}
    assert _called(source) & everything == _defined(source) & everything
    assert _defined(source) <= _called(source)


@every_script
def test_a_function_that_is_left_out_is_named_in_no_other_way(name: str) -> None:
    """A name that is neither called nor handed to `attempt` belongs to a variable."""
    source = load_script(name).source
    everything = {function for library in LIBRARIES.values() for function in _defined(library)}
    read = set(re.findall(r"(?<![\w.:])\w+\b(?! =[^=])", _code(source)))
    lists = re.findall(r"\blocal ([\w, ]+)|\bfunction\b[^(\n]*\(([\w, ]*)", source)
    variables = {name for names in lists for name in re.findall(r"\w+", " ".join(names))}
    assert read & (everything - _defined(source)) <= variables


@every_script
def test_no_variable_of_its_body_has_the_name_of_a_function_that_it_uses(name: str) -> None:
    """Functions of libraries stand behind the first lines of the body, and would replace the variable."""
    _, body = _header_and_body(name)
    lists = re.findall(r"\b(?:local|for) ([\w, ]+)|\bfunction\b[^(\n]*\(([\w, ]*)", body)
    variables = {name for names in lists for name in re.findall(r"\w+", " ".join(names))}
    everything = {function for library in LIBRARIES.values() for function in _defined(library)}
    assert not variables & everything & _defined(load_script(name).source)


def test_every_library_is_used() -> None:
    assert {library for name in SCRIPTS for library in _uses(name)} == LIBRARIES.keys()


@pytest.mark.parametrize("path", sorted(_LUA.rglob("*.lua")), ids=lambda path: path.stem)
def test_no_script_uses_what_is_slow_or_unsafe(path: Path) -> None:
    commands = set(re.findall(r"redis\.call\('(\w+)'", path.read_text()))
    if path.stem == "scan_keys":
        commands.discard("SCAN")  # only scrubs use it, some keys at a time
    assert not commands & {"KEYS", "SCAN", "DEL", "FLUSHDB", "FLUSHALL", "SMEMBERS", "HVALS"}
    assert not {"GT", "NX"} & set(re.findall(r"PEXPIREAT.*'(GT|NX)'", path.read_text())), "not on Redis 6.2"
