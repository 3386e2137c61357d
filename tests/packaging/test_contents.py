"""What the wheel and the sdist hold, and what installing adds to an environment."""

import hashlib
import tarfile
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

from tests.packaging.conftest import Built
from tests.packaging.environments import Environment
from tests.support.processes import ROOT

#: Folders of the checkout whose files are installed.
_SOURCES = ("manager", "tasks", "worker", "src/agent_runtime")


def _expected() -> set[str]:
    """Names in the wheel of all files that lie in the checkout."""
    files = [path for source in _SOURCES for path in (ROOT / source).rglob("*") if path.is_file()]
    names = {str(path.relative_to(ROOT)).removeprefix("src/agent_runtime/") for path in files}
    return {f"agent_runtime/{name}" for name in names if "__pycache__" not in name}


def _files_of_wheel(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert [name for name, times in Counter(names).items() if times > 1] == []
        return {name: archive.read(name) for name in names}


def test_the_wheel_holds_each_file_once_and_nothing_else(built: Built) -> None:
    names = set(_files_of_wheel(built.wheel))

    dist_info = f"agent_sessions-{_version()}.dist-info/"
    assert {name for name in names if not name.startswith(dist_info)} == _expected()


def test_the_wheel_holds_scripts_of_the_server_and_marks_of_types(built: Built) -> None:
    names = set(_files_of_wheel(built.wheel))

    scripts = {str(path.relative_to(ROOT)) for path in (ROOT / "manager").rglob("*.lua")}
    assert len(scripts) > 50
    assert {f"agent_runtime/{name}" for name in scripts} <= names
    assert "agent_runtime/py.typed" in names


def test_no_two_modules_of_the_wheel_have_the_same_text(built: Built) -> None:
    """A folder packed under two names would give each class twice."""
    texts: dict[str, str] = {}
    for name, content in _files_of_wheel(built.wheel).items():
        if name.endswith((".py", ".lua")) and content.count(b"\n") > 1:
            digest = hashlib.sha256(content).hexdigest()
            assert texts.setdefault(digest, name) == name


def test_the_sdist_holds_each_file_once(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        members = archive.getmembers()
    root = built.sdist.name.removesuffix(".tar.gz")
    names = Counter(member.name.removeprefix(f"{root}/") for member in members)

    assert max(names.values()) == 1
    assert {name.removeprefix("src/") for name in names if name.startswith("src/")} == _expected()
    links = {member.name.removeprefix(f"{root}/"): member.linkname for member in members if member.issym()}
    assert links == {"src/agent_runtime/beat_schedule.py": "../../beat_schedule.py"}
    assert {name for name in names if not name.startswith("src/")} == {
        ".gitignore",
        "beat_schedule.py",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "pyproject.toml",
    }


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_checkout(built: Built) -> None:
    assert built.wheel.name == built.wheel_of_sdist.name
    assert _files_of_wheel(built.wheel_of_sdist) == _files_of_wheel(built.wheel)


def test_installing_adds_one_package_and_one_command(built: Built, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    before = environment.listing()

    environment.install(built.wheel)

    assert environment.listing() - before == {
        "agent_runtime",
        f"agent_sessions-{_version()}.dist-info",
        "agent-sessions",
    }


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
