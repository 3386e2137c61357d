"""Run `agent-sessions` as a user does: with pipes, and on a terminal of 80 columns."""

import asyncio
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.support.processes import ROOT, environment
from tests.support.wait_until import HANG_SECONDS

_PROGRAM = [sys.executable, "-m", "agent_runtime.worker.cli"]

#: The leader of a session that opens a terminal controls it, so that a typed Ctrl-C becomes a signal.
_ON_ITS_TERMINAL = "import os, sys; os.open(os.ttyname(0), os.O_RDWR); os.execv(sys.argv[1], sys.argv[1:])"


class Ended(NamedTuple):
    """The result of a run."""

    status: int
    out: str
    err: str = ""

    def document(self) -> Any:
        """Return the one JSON document on stdout."""
        return json.loads(self.out)


def run_cli(*arguments: str, **settings: object) -> Ended:
    """Run the program with pipes and an empty stdin."""
    done = subprocess.run(
        [*_PROGRAM, *arguments],
        cwd=ROOT,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(done.returncode, done.stdout, done.stderr)


async def run_all(*runs: Sequence[str], **settings: object) -> list[Ended]:
    """Run the program once with each of these arguments, all at the same time."""
    return list(await asyncio.gather(*(asyncio.to_thread(run_cli, *run, **settings) for run in runs)))


def run_on_terminal(*arguments: str, when: str = "", types: bytes = b"", **settings: object) -> Ended:
    """Run the program on a terminal. Once it has printed `when`, type `types`."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_ITS_TERMINAL, *_PROGRAM, *arguments],
        cwd=ROOT,
        env={**environment(**settings), "TERM": "xterm", "NO_COLOR": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        printed = _talk(ours, when.encode(), types)
        status = process.wait(HANG_SECONDS)
    finally:
        os.close(ours)
        process.kill()
        process.wait()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", printed.decode()).replace("\r\n", "\n")
    assert "Traceback" not in text, text
    return Ended(status, text)


def _talk(terminal: int, when: bytes, types: bytes) -> bytes:
    """Return all that the program prints until it ends."""
    printed, typed, ends_at = b"", False, time.monotonic() + HANG_SECONDS
    while True:
        readable, _, _ = select.select([terminal], [], [], max(0.0, ends_at - time.monotonic()))
        assert readable, f"still running; it has printed: {printed!r:.4000}"
        if not (part := _read(terminal)):
            return printed
        printed += part
        if types and not typed and when in printed:
            os.write(terminal, types)
            typed = True


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the program has ended
        return b""
