"""A checkout can be imported by short names, and they give the modules of the one installed name."""

import json
import shutil
from pathlib import Path

import pytest

from tests.packaging.environments import Environment
from tests.support.processes import ROOT

#: Name in a checkout, and another name of the same class, function or value.
_SAME = [
    ("manager:SessionManager", "agent_runtime:SessionManager"),
    ("manager:StoreError", "agent_runtime.manager.errors:StoreError"),
    ("manager.errors:StoreError", "agent_runtime.manager:StoreError"),
    ("manager.jobs.records:Records", "agent_runtime.manager.jobs.records:Records"),
    ("tasks:delete_user_sessions", "agent_runtime.tasks.celery_app:delete_user_sessions"),
    ("tasks.session_jobs:SessionJobs", "agent_runtime:SessionJobs"),
    ("worker.celery:app", "agent_runtime.tasks:app"),
    ("beat_schedule:BEAT_SCHEDULE", "agent_runtime.beat_schedule:BEAT_SCHEDULE"),
    ("src.agent_runtime:SessionManager", "agent_runtime:SessionManager"),
    ("src.agent_runtime.session_manager:SessionManager", "agent_runtime.manager:SessionManager"),
    ("src.agent_runtime.manager.errors:StoreError", "manager.errors:StoreError"),
    ("src.agent_runtime.beat_schedule:BEAT_SCHEDULE", "beat_schedule:BEAT_SCHEDULE"),
]

#: Reads pairs of names, each pair in a process of its own, and prints those that are not the same object.
_COMPARE = """
import importlib, json, os, sys
import celery.app.amqp, kombu.transport.redis, pydantic_settings, redis.asyncio  # once for all processes

def read(name):
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)

for pair in json.loads({pairs!r}):
    if pid := os.fork():
        if os.waitpid(pid, 0)[1]:
            print(*pair)
    else:
        first, second = map(read, pair)
        os._exit(first is not second)
"""

#: Imports each module under both names, in the order of `pair`.
_COMPARE_ALL = """
import importlib, pkgutil
import agent_runtime

names = {{module.name for module in pkgutil.walk_packages(agent_runtime.__path__, "agent_runtime.")}}
assert len(names) > 100, names
for name in sorted(names - {{"agent_runtime.worker.cli.__main__"}}):
    short = {prefix!r} + name.removeprefix("agent_runtime.")
    if {prefix!r} or short.startswith(("manager", "tasks", "worker", "beat_schedule")):
        first, second = map(importlib.import_module, {pair})
        assert first is second, (first, second)
        assert first.__name__ == first.__spec__.name == name, (name, first.__name__, first.__spec__)
"""


def _different(bare: Environment, pairs: list[tuple[str, str]], **variables: str) -> str:
    return bare.run(_COMPARE.format(pairs=json.dumps(pairs)), ROOT, **variables)


def test_short_names_imported_first_in_a_checkout_that_is_not_installed(bare: Environment) -> None:
    assert _different(bare, _SAME) == ""


def test_short_names_imported_after_the_installed_ones(bare: Environment) -> None:
    assert _different(bare, [(full, short) for short, full in _SAME], PYTHONPATH=str(ROOT / "src")) == ""


@pytest.mark.parametrize("prefix", ["", "src.agent_runtime."])
@pytest.mark.parametrize("pair", ["(short, name)", "(name, short)"])
def test_every_module_is_the_same_under_both_names(bare: Environment, prefix: str, pair: str) -> None:
    bare.run(_COMPARE_ALL.format(prefix=prefix, pair=pair), ROOT, PYTHONPATH=str(ROOT / "src"))


def test_a_module_run_by_its_short_name(bare: Environment) -> None:
    assert "Usage: agent-sessions" in bare.run_script("python", "-m", "worker.cli", "--help", folder=ROOT)


def test_a_name_that_no_module_has_is_not_found(bare: Environment) -> None:
    bare.run(
        "import manager\n"
        "try:\n    import manager.nothing\n"
        "except ModuleNotFoundError as error:\n    assert error.name == 'manager.nothing', error\n"
        "else:\n    raise AssertionError\n",
        ROOT,
    )


@pytest.mark.parametrize("name", ["manager", "tasks", "worker", "beat_schedule", "src.agent_runtime"])
def test_a_second_copy_is_refused(bare: Environment, tmp_path: Path, name: str) -> None:
    for folder in ("src", "manager", "tasks", "worker"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True)
    shutil.copy(ROOT / "beat_schedule.py", tmp_path)

    bare.run(
        "import agent_runtime\n"
        f"try:\n    import {name}\n"
        f"except ImportError as error:\n    assert 'is another copy of agent_runtime' in str(error), error\n"
        "else:\n    raise AssertionError\n",
        tmp_path,
        PYTHONPATH=str(ROOT / "src"),
    )


def test_the_folder_of_an_installed_package_on_the_path(installed: Environment, tmp_path: Path) -> None:
    inside = installed.site_packages / "agent_runtime"

    installed.run(
        "import manager.errors, agent_runtime\n"
        "assert manager.errors.StoreError is agent_runtime.manager.StoreError\n",
        tmp_path,
        PYTHONPATH=str(inside),
    )


@pytest.mark.parametrize("folder", ["", "worker"])
def test_a_folder_that_hides_celery_is_named(installed: Environment, tmp_path: Path, folder: str) -> None:
    inside = installed.site_packages / "agent_runtime" / folder

    installed.run(
        "try:\n    import agent_runtime.tasks\n"
        f"except ImportError as error:\n    assert '{inside}/celery.py hides Celery' in str(error), error\n"
        "else:\n    raise AssertionError\n",
        tmp_path,
        PYTHONPATH=str(inside),
    )
