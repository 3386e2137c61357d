"""Real Celery processes, started as typed, each in a session of its own so that it can be killed whole."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

from tests.support.wait_until import HANG_SECONDS, wait_until_blocking

ROOT = Path(__file__).parents[2]
_CELERY = Path(sys.executable).parent / "celery"

#: Only the time of day is shifted: waiting would end at once, or never.
_FAKETIME = {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def environment(**settings: object) -> dict[str, str]:
    """The environment of a process, with settings given by their field names."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_SESSIONS_")}
    ours = {f"AGENT_SESSIONS_{name.upper()}": str(value) for name, value in settings.items()}
    return {**clean, **ours, "PYTHONUNBUFFERED": "1"}


class StillRunningError(AssertionError):
    """A process has not ended in its time."""


class CeleryProcess:
    """`celery -A worker <arguments>`, run from the root of the checkout by default.

    Args:
        arguments: what follows `celery -A worker`.
        folder: the current folder of the process.
        ready: what its log says once it works; '' to wait for nothing.
        app: another module of the app than `worker`, which imports that one and then changes something.
        clock: how far off the clock of this process is, for the program `faketime`: `+10 min`.
        celery: the program `celery` of another environment than the running one.
        folder: the working directory.
        settings: ours, by field name.
    """

    def __init__(
        self,
        *arguments: str,
        ready: str = "",
        app: str = "worker",
        clock: str = "",
        celery: Path = _CELERY,
        folder: Path = ROOT,
        **settings: object,
    ) -> None:
        self._arguments = arguments
        self._ready = ready
        self._command = [*(["faketime", "-f", clock] if clock else []), str(celery), "-A", app, *arguments]
        self._folder = folder
        self._settings = settings
        self._log = Path(tempfile.mkstemp(prefix="agent-sessions-", suffix=".log")[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def children(self) -> list[int]:
        """Ids of its pool's processes."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def start(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**environment(**self._settings), **_FAKETIME},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until_blocking(
            self._ready_or_ended,
            description=f"celery {self._arguments[0]} to say {self._ready!r}",
            progress=self.log,
        )
        assert self._ready in self.log(), self.log()
        return self

    def wait_for(self, text: str) -> bool:
        """Waits until its log says that."""
        wait_until_blocking(lambda: text in self.log(), description=f"{text!r} in the log", progress=self.log)
        return True

    def wait(self, timeout: float = 60) -> int:
        """Exit status, once the process has ended. `timeout`: seconds on a machine that carries its load."""
        assert self._process is not None
        wait_until_blocking(lambda: not self.running, description="a process to end", timeout=timeout)
        return self._process.returncode

    def terminate(self, timeout: float = 30) -> int:
        """Ends it as a deploy would; its exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self.wait(timeout)
        except AssertionError as error:
            said = self.log()[-4000:]
            raise StillRunningError(f"it goes on {timeout:.0f} s after SIGTERM:\n{said}") from error

    def kill(self) -> None:
        """Ends it and its children as a power cut would."""
        assert self._process is not None
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()

    def freeze(self) -> None:
        """Stops it and its children where they are. Their connections stay open."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Ends it, if it runs, and forgets its log."""
        if self.running:
            self.kill()
        self._log.unlink(missing_ok=True)

    def _ready_or_ended(self) -> bool:
        return not self.running or self._ready in self.log()


def celery_worker(
    *, name: str = "celery", app: str = "worker", clock: str = "", **settings: object
) -> CeleryProcess:
    """A worker with two processes. Used as a context manager, it is killed at the end."""
    arguments = ("worker", "--concurrency", "2", "--loglevel", "INFO", "--hostname", f"{name}@%h")
    return CeleryProcess(*arguments, ready="ready.", app=app, clock=clock, **settings)


def run_program(code: str, **settings: object) -> Any:
    """Runs Python in a program of its own, from the root of the checkout; what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
