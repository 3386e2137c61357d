"""Short import names of a checkout: `manager` is `agent_runtime.manager`, and so on.

The folders of a checkout can be imported from its top level. As modules of their own, they would give a
second set of classes: `except manager.StoreError` would miss an `agent_runtime.manager.errors.StoreError`. So
each top-level module calls `install_alias` if it is not imported under its installed name, and both names
give the same modules.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType


def install_alias(short: str, full: str) -> None:
    """Let the module `short`, which is being imported, be the module `full`, with all modules below it.

    Args:
        short: name under which the module is being imported, for example `manager`.
        full: installed name of the same module, for example `agent_runtime.manager`.

    Raises:
        ImportError: the two are different copies of this code.
    """
    module = importlib.import_module(full)
    here, there = (Path(str(sys.modules[name].__file__)).resolve() for name in (short, full))
    if here != there:
        raise ImportError(f"{short} ({here}) is another copy of {full} ({there}): import {full} instead")
    sys.modules[short] = module
    sys.meta_path.insert(0, _AliasFinder(short + ".", full + "."))


class _AliasFinder(MetaPathFinder):
    """Finds `manager.errors` as `agent_runtime.manager.errors`."""

    def __init__(self, short: str, full: str) -> None:
        self._short = short
        self._full = full

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self._short):
            return None
        found = importlib.util.find_spec(self._full + fullname.removeprefix(self._short))
        if found is None:
            return None
        spec = ModuleSpec(fullname, _AliasLoader(found), origin=found.origin)
        spec.submodule_search_locations = found.submodule_search_locations
        return spec


class _AliasLoader(InspectLoader):
    """Loads a module by returning the module with the full name."""

    def __init__(self, full: ModuleSpec) -> None:
        self._full = full

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._full.name)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec  # the import system has just put the alias's spec there

    # `python -m worker.cli` asks for code instead of a module.

    def get_code(self, fullname: str) -> CodeType | None:
        return self._inspect().get_code(self._full.name)

    def get_source(self, fullname: str) -> str | None:
        return self._inspect().get_source(self._full.name)

    def is_package(self, fullname: str) -> bool:
        return self._full.submodule_search_locations is not None

    def _inspect(self) -> InspectLoader:
        if not isinstance(self._full.loader, InspectLoader):
            raise ImportError(f"{self._full.name} has no source code to run")
        return self._full.loader
