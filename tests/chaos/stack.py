"""The whole stack on this machine: a durable server, a proxy before it, three workers, Beat twice, and
callers.

Workers and Beats that end are started again, as a supervisor would.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

from tests.support.processes import ROOT, environment
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer

WORKERS, BEATS, CALLERS = 3, 2, 2

_CELERY = str(Path(sys.executable).parent / "celery")

#: Short times until the stack notices and repairs a fault, so that two minutes hold many recoveries.
SETTINGS: dict[str, Any] = {
    "namespace": "chaos",
    "partitions": 2,
    # Nothing may expire by itself, not even in a run of hours.
    "ttl": 30 * 86_400,
    "max_sessions": 10_000_000,
    "call_timeout_seconds": 1,
    "slice_seconds": 0.3,
    "stalled_after_seconds": 2,
    "resume_interval_seconds": 1,
    "sweep_interval_seconds": 1,
    # Every batch is refused now and then while the server is away; that is no reason to give up.
    "max_attempts": 1000,
}

_SUPERVISE_EVERY_SECONDS = 0.2


class Process:
    """A process of ours. The process and its children form a group of their own."""

    def __init__(self, name: str, command: list[str], folder: Path, settings: dict[str, Any]) -> None:
        self.name = name
        self._command = command
        self._settings = settings
        self.log_path = folder / f"{name}.log"
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    @property
    def status(self) -> int | None:
        """Exit status; None while the process runs."""
        assert self._popen is not None
        return self._popen.poll()

    def start(self) -> None:
        self.clear_away()
        with self.log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=environment(**self._settings),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def children(self) -> list[int]:
        """Return the pids of the pool."""
        found = subprocess.run(["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number) if group else os.kill(self.pid, number)

    def clear_away(self) -> None:
        """End the process, and what its death left of its group."""
        if self._popen is not None:
            self.signal(signal.SIGKILL, group=True)
            self._popen.wait()


class Stack:
    """All processes of a run. Used as an asynchronous context manager, the stack ends them all.

    Args:
        seed: seed of the callers' actions.
    """

    def __init__(self, seed: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="agent-sessions-chaos-"))
        self.server = RedisServer(keeps_data=True)
        self.proxy = Proxy(self.server.port)
        self._seed = seed
        #: True if journals and logs stay in `folder` at the end.
        self.keeps_logs = False
        #: Number of restarts of each kind of process.
        self.restarts: Counter[str] = Counter()
        #: The ways in which processes ended.
        self.exits: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as running:
            running.callback(self._remove_folder)
            running.enter_context(self.server)
            await running.enter_async_context(self.proxy)
            self._start(running)
            self._running = running.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._running.aclose()

    def _start(self, running: AsyncExitStack) -> None:
        self.settings = {**SETTINGS, "redis_url": self.proxy.url()}
        self.workers = [self._celery(f"worker{n}", *_WORKER, "-n", f"worker{n}@%h") for n in range(WORKERS)]
        self.beats = [self._celery(f"beat{n}", "beat", "--pidfile=") for n in range(BEATS)]
        self.callers = [self._caller(n) for n in range(CALLERS)]
        for process in [*self.workers, *self.beats, *self.callers]:
            running.callback(process.clear_away)
            process.start()
        self._supervised = [*self.workers, *self.beats]
        running.callback(asyncio.create_task(self._supervise()).cancel)

    def _remove_folder(self) -> None:
        if not self.keeps_logs:
            shutil.rmtree(self.folder)

    def end_beats(self) -> None:
        """End both Beats for good."""
        self._supervised = self.workers
        for beat in self.beats:
            beat.clear_away()

    def journals(self) -> list[Path]:
        return sorted(self.folder.glob("*.journal"))

    def _celery(self, name: str, *arguments: str) -> Process:
        return Process(name, [_CELERY, "-A", "worker", *arguments], self.folder, self.settings)

    def _caller(self, number: int) -> Process:
        name = f"caller{number}"
        arguments = [name, f"{self._seed}-{number}", str(self.folder / f"{name}.journal")]
        command = [sys.executable, "-m", "tests.chaos.callers", *arguments]
        return Process(name, command, self.folder, self.settings)

    async def _supervise(self) -> None:
        """Start workers and Beats again that have ended. Callers never end before they are told to."""
        while True:
            for process in self._supervised:
                if process.status is not None:
                    kind = process.name.rstrip("0123456789")
                    self.exits[f"{kind} {_words(process.status)}"] += 1
                    self.restarts[kind] += 1
                    await asyncio.to_thread(process.start)
            await asyncio.sleep(_SUPERVISE_EVERY_SECONDS)


_WORKER = ("worker", "--concurrency", "1", "--loglevel", "INFO")


def _words(status: int) -> str:
    return f"ended with {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"


def pick(rng: random.Random, processes: list[Process]) -> Process:
    """Pick one of the processes that run, or any if none runs."""
    running = [process for process in processes if process.status is None]
    return rng.choice(running or processes)
