"""Rules for the code as a whole."""

import ast
import graphlib
import importlib
import pkgutil
import re
import types
from pathlib import Path

import pytest

from agent_runtime import manager
from agent_runtime.manager import errors

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("manager", "tasks", "worker")


def _named(*packages: str) -> set[str]:
    return {f"agent_runtime.{package}" for package in packages}


#: Packages that each package must not import.
FORBIDDEN = {
    "manager": {
        "agent_runtime.tasks",
        "agent_runtime.worker",
        "agent_runtime.beat_schedule",
        "celery",
        "kombu",
        "flower",
    },
    "tasks": {"agent_runtime.worker", "flower"},
    "worker": set(),
}

#: What tasks and workers may know of the manager, and with how many names.
PUBLIC = {
    "agent_runtime.manager": 21,
    "agent_runtime.manager.errors": 21,
    "agent_runtime.manager.integrity": 3,
    "agent_runtime.manager.jobs": 30,
}

#: Names under which modules can be imported in a checkout, but never by the code itself.
SHORT = {"manager", "tasks", "worker", "beat_schedule", "src"}

LONGEST_FILE, LONGEST_FUNCTION = 300, 40


def _files(package: str) -> list[Path]:
    return sorted((_ROOT / package).rglob("*.py"))


def _imports(path: Path) -> set[str]:
    """Return the full names of the modules that a file imports, at any place in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package: str) -> None:
    for path in _files(package):
        for name in _imports(path):
            assert not any(_is_within(name, forbidden) for forbidden in FORBIDDEN[package]), f"{path}: {name}"


@pytest.mark.parametrize("package", ["tasks", "worker", "examples"])
def test_of_the_manager_only_public_names_are_used(package: str) -> None:
    allowed = PUBLIC.keys() | {f"{module}.{name}" for module in PUBLIC for name in _public_names(module)}
    for path in [_ROOT / "beat_schedule.py", *_files(package)]:
        used = {name for name in _imports(path) if _is_within(name, "agent_runtime.manager")}
        assert used <= allowed, f"{path}: {used - allowed}"


def test_the_code_imports_itself_by_its_one_installed_name() -> None:
    folders = (*_PACKAGES, "src", "examples", "benchmarks", "tests")
    for path in [_ROOT / "beat_schedule.py", *(path for folder in folders for path in _files(folder))]:
        if path.parent.name != "contract_examples":  # these examples show the contract's own import path
            assert not {name.partition(".")[0] for name in _imports(path)} & SHORT, path


def _layers() -> dict[str, int]:
    """Number of the layer of each module or folder, from the top, as the architecture page draws them."""
    page = (_ROOT / "docs" / "architecture.md").read_text()
    drawn = re.search("<!-- layers: begin -->(.*)<!-- layers: end -->", page, re.DOTALL)
    assert drawn is not None
    layers = re.split("├─+┤", drawn[1])
    names = [re.findall(r"[a-z][\w/]+", layer) for layer in layers]
    return {f"agent_runtime/{name}": number for number, each in enumerate(names) for name in each}


def test_imports_go_down_the_layers_that_the_architecture_page_draws() -> None:
    layers = _layers()

    def layer_of(module: str) -> str | None:
        """The longest name among the layers that a module lies in; None for the package's own face."""
        names = [name for name in layers if _is_within(module, name.replace("/", "."))]
        return max(names, key=len, default=None)

    paths = [path for package in _PACKAGES for path in _files(package) if path.name != "__init__.py"]
    for path in [_ROOT / "beat_schedule.py", *paths]:
        own = layer_of(".".join(["agent_runtime", *path.relative_to(_ROOT).with_suffix("").parts]))
        assert own is not None, f"{path} is in no layer"
        imports = _imports(path)
        assert not own.startswith("agent_runtime/manager") or "agent_runtime.manager" not in imports, path
        for other in filter(None, map(layer_of, imports)):
            assert other == own or layers[own] < layers[other], f"{path} imports {other}"


@pytest.mark.parametrize("package", _PACKAGES)
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    whole = f"agent_runtime.{package}"
    modules = {
        ".".join(["agent_runtime", *path.relative_to(_ROOT).with_suffix("").parts]).removesuffix(
            ".__init__"
        ): path
        for path in _files(package)
    }
    graph = {name: (_imports(path) & modules.keys()) - {name} for name, path in modules.items()}
    graph[whole] = set()  # `from package import name` imports the module of that name, not the whole package
    for name in graph:
        graph[name].discard(whole)
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_few_and_documented(module: str) -> None:
    names = _public_names(module)
    assert len(names) <= PUBLIC[module]
    for name in names:
        assert getattr(importlib.import_module(module), name).__doc__, f"{name} has no docstring"


@pytest.mark.parametrize("module", [name for name in PUBLIC if not name.endswith("errors")])
def test_the_public_names_are_sorted_and_are_those_that_are_there(module: str) -> None:
    listed = importlib.import_module(module).__all__
    assert listed == sorted(listed)
    assert set(listed) == _public_names(module)


def _public_names(module: str) -> set[str]:
    return {
        name
        for name, value in vars(importlib.import_module(module)).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }


def test_the_documented_import_path_gives_the_same_classes() -> None:
    documented = importlib.import_module("src.agent_runtime.session_manager")
    installed = importlib.import_module("agent_runtime.session_manager")
    for name in documented.__all__:
        assert getattr(documented, name) is getattr(installed, name) is getattr(manager, name)
    assert "SessionManager" in documented.__all__


def test_every_public_error_has_the_root_and_the_bases_of_the_contract() -> None:
    classes = [getattr(errors, name) for name in _public_names(errors.__name__) if name.endswith("Error")]
    assert all(issubclass(error, manager.AgentSessionsError) for error in classes)
    for error, base in [
        (manager.InvalidArgumentError, ValueError),
        (manager.SettingsError, ValueError),
        (manager.SessionNotFoundError, ValueError),
        (manager.SessionLimitError, RuntimeError),
        (errors.JobNotFoundError, LookupError),
        (errors.JobWaitTimeoutError, TimeoutError),
        (manager.StoreUnavailableError, ConnectionError),
        (manager.StoreOutcomeUnknownError, TimeoutError),
        (manager.StoreUnavailableError, manager.StoreError),
        (manager.StoreRefusedError, manager.StoreError),
        (manager.StoreOutcomeUnknownError, manager.StoreError),
    ]:
        assert issubclass(error, base)


def test_the_tree_of_errors_is_drawn_at_the_top_of_its_file() -> None:
    defined = [name for name, value in vars(errors).items() if isinstance(value, type)]
    assert [name for name in defined if name not in (errors.__doc__ or "")] == []


@pytest.mark.parametrize("package", _PACKAGES)
def test_files_and_functions_are_short(package: str) -> None:
    long = []
    for path in [*_files(package), *(_ROOT / package).rglob("*.lua")]:
        text = path.read_text()
        if len(text.splitlines()) >= LONGEST_FILE:
            long.append(f"{path.relative_to(_ROOT)}: {len(text.splitlines())} lines")
        if path.suffix == ".py":
            long += [f"{path.relative_to(_ROOT)}: {each}" for each in _long_functions(text)]
    assert long == []


def test_every_public_method_of_the_manager_has_a_docstring_with_an_example() -> None:
    for name in dir(manager.SessionManager):
        method = getattr(manager.SessionManager, name)
        if name.startswith("_") or not callable(method) or name in ("aclose",):
            continue
        assert "Example:" in (method.__doc__ or ""), name


def test_every_module_says_what_it_is_for() -> None:
    for module in pkgutil.walk_packages(manager.__path__, "agent_runtime.manager."):
        assert importlib.import_module(module.name).__doc__, module.name


def _long_functions(text: str) -> list[str]:
    """Return the functions with too many lines, not counting their docstrings."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            has_docstring = ast.get_docstring(node) is not None
            first = node.body[1] if has_docstring and len(node.body) > 1 else node.body[0]
            lines = (node.end_lineno or 0) - first.lineno + 1 + (node.body[0].lineno - node.lineno)
            if lines >= LONGEST_FUNCTION:
                found.append(f"{node.name}: {lines} lines")
    return found


_FACETS = sorted(path for path in (_ROOT / "manager" / "methods").glob("*.py") if path.stem != "__init__")


def _private_names(tree: ast.AST) -> set[str]:
    """Return the private attributes that the code of a module reads or sets, with what they belong to."""
    return {
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.match("_(?!_)", node.attr)
    }


@pytest.mark.parametrize("path", _FACETS, ids=lambda path: path.stem)
def test_a_facet_touches_its_context_and_nothing_else_private(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert _private_names(tree) <= {"self._context"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and path.stem != "context":
            assert [ast.unparse(base) for base in node.bases] == ["Facet"], node.name
            methods = [each.name for each in node.body if not isinstance(each, ast.Expr)]  # type: ignore[attr-defined]
            assert [name for name in methods if name.startswith("_")] == [], node.name


@pytest.mark.parametrize("path", _FACETS, ids=lambda path: path.stem)
def test_no_facet_imports_another(path: Path) -> None:
    methods = "agent_runtime.manager.methods"
    known = {name for name in _imports(path) if _is_within(name, methods)} - {methods}
    assert all(_is_within(name, f"{methods}.context") for name in known), known


@pytest.mark.parametrize("path", _FACETS, ids=lambda path: path.stem)
def test_no_public_method_of_the_manager_calls_another(path: Path) -> None:
    """So a subclass that overrides one changes this one only."""
    public = {name for name in dir(manager.SessionManager) if not name.startswith("_")}
    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    assert not used & public


def _code(tree: ast.AST) -> list[ast.AST]:
    """Return the nodes of a tree without its docstrings."""
    strings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [node for node in ast.walk(tree) if id(node) not in strings]


@pytest.mark.parametrize("package", [*_PACKAGES, "src"])
def test_no_key_is_built_outside_of_its_module(package: str) -> None:
    for path in _files(package):
        if path == _ROOT / "manager" / "keys.py":
            continue
        for node in _code(ast.parse(path.read_text())):
            sides = (node.left, node.right) if isinstance(node, ast.BinOp) else ()
            parts = [side.attr for side in sides if isinstance(side, ast.Attribute)]
            built = [name for name in parts if name.endswith("prefix") and not name.endswith("env_prefix")]
            assert not built, f"{path}:{node.lineno}: keys.py should name this key"  # type: ignore[attr-defined]
            if isinstance(node, ast.Constant):
                text = node.value if isinstance(node.value, str | bytes) else b""
                tag = b":{" if isinstance(text, bytes) else ":{"
                assert tag not in text, f"{path}:{node.lineno}: keys.py should name this key"  # type: ignore[operator]
