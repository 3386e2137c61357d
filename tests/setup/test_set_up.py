"""`make setup` installs what is locked: with any pip, and whatever came out after the lock was made."""

import sys
from pathlib import Path

import pytest

from tests.setup.old_pip import BASE, download_oldest_pip, python_with
from tests.setup.project import Project

_DEMO = {"carrier==1.0", "cargo==1.0", "project==0.1"}
_FULL = {*_DEMO, "checker==1.0"}


@pytest.fixture(scope="module")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python whose environments get the oldest pip."""
    folder = tmp_path_factory.mktemp("old pip")
    return python_with(download_oldest_pip(folder), folder)


@pytest.fixture
def project(tmp_path: Path, old_python: Path) -> Project:
    return Project(tmp_path, old_python)


@pytest.mark.parametrize("pip", ["oldest", "its own"])
def test_what_is_locked_is_installed_though_newer_releases_are_offered(
    pip: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    project = Project(tmp_path, BASE if pip == "its own" else request.getfixturevalue("old_python"))
    done = project.make("setup")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.installed() == _FULL
    assert "Nothing to be done" in project.make("setup").stdout


def test_the_demo_installs_its_own_lock_and_the_tests_add_the_rest(project: Project) -> None:
    assert project.make(".venv/package").returncode == 0
    assert project.installed() == _DEMO
    done = project.make("setup")
    assert "-m venv" not in done.stdout, "the environment is made anew"
    assert project.installed() == _FULL


def test_a_package_that_leaves_the_lock_of_the_demo_leaves_the_environment(project: Project) -> None:
    project.lock("requirements-demo.lock", "carrier", "cargo", "checker")
    assert project.make(".venv/package").returncode == 0
    assert project.installed() == _FULL
    project.lock("requirements-demo.lock", "carrier", "cargo")
    assert project.make(".venv/package").returncode == 0
    assert project.installed() == _DEMO


def test_a_lock_without_what_is_required_fails(project: Project) -> None:
    project.lock("requirements-demo.lock", "carrier")
    done = project.make(".venv/package")
    assert done.returncode != 0
    assert "carrier 1.0 requires cargo, which is not installed" in done.stdout


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text(f"""#!/bin/sh
exec '{sys.executable}' "$1" "import sys; sys.version_info = (3, 10, 13); ${{2#import sys; }}"
""")
    old.chmod(0o755)
    done = Project(tmp_path, old).make("setup")
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="pip 24.2 keeps to the lock, even if it resolves")
def test_with_the_oldest_pip_a_set_up_that_resolves_fails(project: Project) -> None:
    """The tests above can fail: what they are there to catch, they catch."""
    makefile = project.folder / "Makefile"
    text = makefile.read_text()
    assert "--no-deps --only-binary" in text
    makefile.write_text(text.replace("--no-deps --only-binary", "--only-binary"))
    done = project.make("setup")
    assert done.returncode != 0
    assert "must have their versions pinned" in done.stderr
