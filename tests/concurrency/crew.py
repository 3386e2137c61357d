"""Processes that run one script after another, all released at the same moment."""

import asyncio
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from agent_runtime.manager import Settings
from tests.concurrency.history import History, read_journal
from tests.concurrency.member import Round, Script, serve
from tests.support.wait_until import HANG_SECONDS, wait_until

_TIMEOUT_SECONDS = HANG_SECONDS

#: Time from the moment when all are ready to the moment of release.
_LEAD_SECONDS = 0.01

_spawning = multiprocessing.get_context("spawn")


class _Process:
    """One member, seen from the test."""

    def __init__(self, number: int) -> None:
        self.orders, theirs = _spawning.Pipe()
        self.process = _spawning.Process(target=serve, args=(number, theirs), daemon=True)
        self.process.start()
        theirs.close()

    async def hear(self) -> str:
        """Return the process's next message, or 'killed' if it was killed."""
        waiting: Connection = self.orders
        if not await asyncio.to_thread(waiting.poll, _TIMEOUT_SECONDS):
            raise AssertionError(f"process {self.process.name} said nothing for {_TIMEOUT_SECONDS} s")
        try:
            return str(waiting.recv())
        except (EOFError, ConnectionResetError):
            return "killed"

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def end(self) -> None:
        self.kill()
        self.orders.close()
        self.process.close()


class Crew:
    """A number of processes, which stay from round to round.

    Example:
        >>> with Crew(4) as crew:
        ...     history = await crew.run(_create_some, settings, "ann")
    """

    def __init__(self, size: int) -> None:
        self._processes = [_Process(number) for number in range(size)]
        self._folder = Path(tempfile.mkdtemp(prefix="agent-sessions-crew-"))
        self._rounds = 0

    async def run(
        self,
        script: Script,
        settings: Settings,
        *arguments: Any,
        ttl: float = 3600,
        max_sessions: int = 10_000,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> History:
        """Have every process run the script, and return the history of all, in the order of the calls.

        Args:
            arguments: arguments of the script besides its member.
            meanwhile: runs beside the script, from the moment of the release until all processes have ended.
        """
        self._replace_killed()
        self._rounds += 1
        for number, each in enumerate(self._processes):
            journal = self._journal(number)
            each.orders.send(Round(script, arguments, settings, ttl, max_sessions, journal))
        _expect({"ready"}, await self._hear_all())
        moment = time.monotonic() + _LEAD_SECONDS
        for each in self._processes:
            each.orders.send(moment)
        beside = asyncio.create_task(meanwhile()) if meanwhile else None
        try:
            _expect({"", "killed"} if beside else {""}, await self._hear_all())
        finally:
            await _end(beside)
        journals = [read_journal(self._journal(number)) for number in range(len(self._processes))]
        return sorted((each for journal in journals for each in journal), key=lambda it: it.invoked)

    async def kill_after(self, number: int, operations: int) -> None:
        """Kill this process by SIGKILL once it has had so many answers in this round."""

        def is_due() -> bool:
            return sum(each.answered for each in read_journal(self._journal(number))) >= operations

        await wait_until(is_due, description=f"{operations} operations", timeout=_TIMEOUT_SECONDS)
        self._processes[number].kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._processes:
            each.end()
        shutil.rmtree(self._folder)

    async def _hear_all(self) -> list[str]:
        return await asyncio.gather(*(each.hear() for each in self._processes))

    def _journal(self, number: int) -> Path:
        return self._folder / f"{self._rounds}-{number}"

    def _replace_killed(self) -> None:
        for number, each in enumerate(self._processes):
            if not each.process.is_alive():
                each.end()
                self._processes[number] = _Process(number)


def _expect(good: set[str], said: list[str]) -> None:
    bad = [each for each in said if each not in good]
    assert not bad, "\n".join(bad)


async def _end(beside: "asyncio.Task[None] | None") -> None:
    """End the coroutine that ran beside the scripts. If it ended before with an error, raise the error."""
    if beside is None:
        return
    beside.cancel()
    try:
        await beside
    except asyncio.CancelledError:
        if not beside.cancelled():
            raise
