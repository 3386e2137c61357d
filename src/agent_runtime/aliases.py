"""Short import names of a checkout: `manager` is `agent_runtime.manager`, and so on.

The folders of a checkout can be imported from its top level. As modules of their own they would give a second
set of classes: `except manager.StoreError` would miss an `agent_runtime.manager.errors.StoreError`. So each
package calls `install_alias` if it is imported under another name, and both names give the same modules.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


def install_alias(short: str, full: str) -> None:
    """Let the package `short`, which is being imported, be the package `full`, with all of its modules.

    Raises:
        ImportError: the two are different copies of this code.
    """
    package = importlib.import_module(full)
    here, there = (Path(str(sys.modules[name].__file__)).resolve() for name in (short, full))
    if here != there:
        raise ImportError(f"{short} ({here}) is another copy of {full} ({there}): import {full} instead")
    sys.modules[short] = package
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
        full = self._full + fullname.removeprefix(self._short)
        if importlib.util.find_spec(full) is None:
            return None
        return ModuleSpec(fullname, _AliasLoader(full))


class _AliasLoader(Loader):
    """Loads a module by handing out the one that has the full name."""

    def __init__(self, full: str) -> None:
        self._full = full

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._full)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec  # the import system has just replaced it by the alias's
