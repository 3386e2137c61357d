"""The pictures in docs/, taken from a real run: `python -m benchmarks.pictures` (needs chromium).

The script starts the whole stack and has `agent-sessions` delete an agent on a terminal. In the middle of the
deletion, it keeps what the terminal shows and has a browser take a picture of Flower.
"""

import argparse
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path

import redis
from rich.console import Console
from rich.text import Text

from agent_runtime.manager.keys import Keys
from agent_runtime.worker.dev import Stack, running_stack
from benchmarks.populate import Populated, new_owned, populate
from benchmarks.talk import conversation

_DOCS = Path(__file__).parents[1] / "docs"
_NAMESPACE, _AGENT = "pictures", "chatbot"
_COLUMNS, _ROWS = 92, 12
_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__)
    parser.add_argument("--sessions", type=int, default=150_000, help="of the agent that is deleted")
    sessions = parser.parse_args().sessions
    environment = {"AGENT_SESSIONS_NAMESPACE": _NAMESPACE, "AGENT_SESSIONS_MAX_SESSIONS": "1000000"}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(Path(folder), standard_ports=False, **environment) as stack,
    ):
        with redis.Redis.from_url(stack.redis_url) as client:
            what = Populated(_AGENT, 3, conversation(400))
            populate(client, Keys(_NAMESPACE, 0), new_owned(sessions), what)
        environment["AGENT_SESSIONS_REDIS_URL"] = stack.redis_url
        _take(stack, environment, sessions)


def _take(stack: Stack, environment: dict[str, str], sessions: int) -> None:
    typed = f"agent-sessions delete-agent {_AGENT} --reason 'retired' --yes --wait"
    shown, middle = "", ""
    browser = None
    for part in _on_terminal(typed, environment):
        shown += part
        done = re.findall(r"([\d,]+)/[\d,]+", _CONTROL.sub("", shown))
        if browser is None and done and int(done[-1].replace(",", "")) > sessions // 4:
            browser = _look_at_flower(stack)
        if browser is not None and not middle and int(done[-1].replace(",", "")) > sessions // 2:
            middle = shown
    assert browser is not None, shown
    assert browser.wait(60) == 0
    _draw(f"$ {typed}\n" + _screen(middle), "job-in-terminal.svg", "in the middle")
    _draw(f"$ {typed}\n" + _screen(shown), "job-in-terminal-done.svg", "at the end")


def _on_terminal(typed: str, environment: dict[str, str]) -> Iterator[str]:
    """Yield what a command prints on a terminal, bit by bit."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    command = typed.replace("agent-sessions", f"{sys.executable} -m agent_runtime.worker.cli", 1)
    process = subprocess.Popen(
        ["sh", "-c", command],
        env={**os.environ, **environment, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        while part := os.read(ours, 65_536):
            yield part.decode()
    except OSError:  # a terminal says so that its program has ended
        pass
    assert process.wait() == 0


def _screen(printed: str) -> str:
    """Return the lines that a terminal shows, with colours, of a program that rewrites its last lines."""
    lines, row = [""], 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", printed):
        control = _CONTROL.fullmatch(token)
        if token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif control and control[2] == "A":
            row = max(0, row - int(control[1] or 1))
        elif control and control[2] == "K":
            lines[row] = ""
        elif token != "\r" and not (control and control[2] != "m"):
            lines[row] += token
    return "\n".join(lines).rstrip()


def _draw(text: str, name: str, when: str) -> None:
    console = Console(record=True, width=_COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
    console.print(Text.from_ansi(text))
    console.save_svg(str(_DOCS / name), title=f"agent-sessions, {when}")
    print(f"written to docs/{name}")


def _look_at_flower(stack: Stack) -> "subprocess.Popen[bytes]":
    """Start a browser that keeps a picture of the job's task in Flower."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "this needs chromium"
    profile = tempfile.mkdtemp()
    with redis.Redis.from_url(stack.redis_url) as client:
        [job_id] = client.zrange(Keys(_NAMESPACE, 0).history, -1, -1)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    return subprocess.Popen(
        [
            chromium,
            *flags,
            f"--user-data-dir={profile}",
            "--window-size=1300,700",
            "--virtual-time-budget=4000",
            f"--screenshot={_DOCS / 'job-in-flower.png'}",
            f"{stack.flower_url}/task/{job_id.decode()}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
