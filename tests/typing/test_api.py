"""A strict type checker knows the types of the public API: no value is Any, and wrong calls are errors."""

import re
from pathlib import Path

import pytest
from mypy import api

from tests.support.processes import ROOT

#: Strict mypy, with the settings that this project has for its own code.
_STRICT = ["--strict", "--config-file", str(ROOT / "pyproject.toml")]


def _check(program: Path) -> str:
    """Return what mypy reports of a program."""
    report, errors, _ = api.run([*_STRICT, str(program)])
    return report + errors


@pytest.mark.timeout(300)  # the first run of mypy reads all dependencies
def test_the_types_of_the_public_api_are_those_that_callers_expect() -> None:
    assert "Success" in _check(Path(__file__).with_name("api.py"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["SessionManager", "SessionJobs", "CachedSessionManager", "Session"])
def test_no_name_of_the_package_is_any(tmp_path: Path, name: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"from typing import assert_type, Any\nfrom agent_runtime import {name}\n")
    assert "Success" in _check(program)
    program.write_text(program.read_text() + f"assert_type({name}, Any)\n")
    assert f'"type[{name}]", not "Any"' in _check(program)


@pytest.mark.timeout(300)
def test_the_examples_of_the_readme_are_typed(tmp_path: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert examples
    for number, example in enumerate(examples):
        program = tmp_path / f"example_{number}.py"
        program.write_text(f"from typing import Any\n\ncelery_app: Any\n{example}")
        assert "Success" in _check(program), example
