"""Virtual environments with this package's dependencies, made in a second and without an index."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

_TIMEOUT_SECONDS = 120


class Environment:
    """A new virtual environment that sees the dependencies of the running one, but not this package.

    Args:
        folder: where to make it; it must not exist.

    Example:
        >>> environment = Environment(tmp_path / "venv")
        >>> environment.install(wheel)
        >>> environment.run("import agent_runtime; print(agent_runtime.__file__)")
    """

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.scripts = folder / "bin"
        self.python = self.scripts / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.site_packages = folder / "lib" / version / "site-packages"
        dependencies = folder / "dependencies"
        _link_dependencies(dependencies)
        # A folder named in a .pth file has its own .pth files ignored, the one of our editable install too.
        (self.site_packages / "dependencies.pth").write_text(f"{dependencies}\n")
        self._add_script("celery", "celery.__main__")

    def install(self, wheel: Path) -> None:
        """Install a wheel with the running environment's pip."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.python)]
        _run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)])

    def listing(self) -> set[str]:
        """Names of all that lies in site-packages and among the scripts."""
        return {path.name for folder in (self.site_packages, self.scripts) for path in folder.iterdir()}

    def run(self, code: str, folder: Path, **variables: str) -> str:
        """Run Python code from a folder and return what it prints.

        Args:
            code: the program.
            folder: the working directory, which is the first entry of the program's path.
            variables: further environment variables.

        Raises:
            AssertionError: the program ended with an error; the message is what it said.
        """
        return _run([str(self.python), "-W", "error", "-c", code], folder, **variables)

    def run_script(self, name: str, *arguments: str, folder: Path, **variables: str) -> str:
        """Run a console script from a folder and return what it prints."""
        return _run([str(self.scripts / name), *arguments], folder, **variables)

    def _add_script(self, name: str, module: str) -> None:
        """Add a console script, as pip does for a dependency that it installs."""
        script = self.scripts / name
        script.write_text(f"#!{self.python}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        script.chmod(0o755)


def _link_dependencies(folder: Path) -> None:
    """Link to all that is installed in the running environment, except for this package."""
    folder.mkdir()
    for place in dict.fromkeys(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")):
        for path in place.iterdir():
            if "agent_runtime" not in path.name and "agent_sessions" not in path.name:
                (folder / path.name).symlink_to(path)


def _run(command: list[str], folder: Path | None = None, **variables: str) -> str:
    # Neither settings nor a path to the checkout's modules may come from whoever runs the tests.
    clean = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("AGENT_SESSIONS_")
    }
    done = subprocess.run(
        command,
        cwd=folder,
        env={**clean, **variables},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command[:3]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout
