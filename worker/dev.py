"""Run the whole stack on this machine until Ctrl-C: `make dev`.

The stack is an embedded server (unless AGENT_SESSIONS_REDIS_URL names another) and the processes of
`deploy/supervisord.conf`: two workers, Beat and Flower. That file is in the checkout only.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from agent_runtime.manager import SettingsError, load_settings
from agent_runtime.worker.embedded_server import DATA_FOLDER, embedded_server

_CONFIGURATION = Path(__file__).resolve().parents[1] / "deploy" / "supervisord.conf"
_STOP_TIMEOUT_SECONDS = 60


class Stack(NamedTuple):
    """A running stack."""

    redis_url: str
    flower_url: str
    log_folder: Path
    supervisor: "subprocess.Popen[bytes]"


def free_port(preferred: int) -> int:
    """Return `preferred` if nothing listens there, else (and for 0) a free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_stack(
    folder: Path = DATA_FOLDER, *, standard_ports: bool = True, **settings: str
) -> Iterator[Stack]:
    """Run server, workers, Beat and Flower while the block runs.

    Args:
        folder: for data and logs.
        standard_ports: use 6379 and 5555 if they are free; else any free ports.
        settings: more environment variables for all processes, as `AGENT_SESSIONS_…="…"`.
    """
    signal.signal(signal.SIGTERM, _exit)
    log_folder = folder / "log"
    log_folder.mkdir(parents=True, exist_ok=True)
    flower_port = free_port(5555 if standard_ports else 0)
    with ExitStack() as running:
        own = load_settings()
        if "redis_url" in own.model_fields_set:
            redis_url = own.redis_url
        else:
            port = free_port(6379 if standard_ports else 0)
            redis_url = running.enter_context(embedded_server(folder / "valkey", port))
        environment = {
            **os.environ,
            **settings,
            "AGENT_SESSIONS_REDIS_URL": redis_url,
            "AGENT_SESSIONS_LOG_FOLDER": str(log_folder),
            "AGENT_SESSIONS_FLOWER_PORT": str(flower_port),
            "AGENT_SESSIONS_BIN": str(Path(sys.executable).parent),
        }
        supervisor = subprocess.Popen(  # noqa: S603  (our own command)
            [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(_CONFIGURATION)],
            env=environment,
            stdout=subprocess.DEVNULL,
            # This process passes Ctrl-C on, so that the supervisor and its children stop once, in order.
            start_new_session=True,
        )
        try:
            yield Stack(redis_url, f"http://127.0.0.1:{flower_port}", log_folder, supervisor)
        finally:
            supervisor.terminate()
            supervisor.wait(_STOP_TIMEOUT_SECONDS)


def _exit(*_: object) -> None:
    """Let SIGTERM unwind the stack as Ctrl-C does; the default would leave all its processes behind."""
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Run the stack until Ctrl-C or until the supervisor ends."""
    with ExitStack() as running:
        try:
            stack = running.enter_context(running_stack())
        except SettingsError as error:
            raise SystemExit(str(error)) from error
        sys.stdout.write(
            f"Redis   {stack.redis_url}\nFlower  {stack.flower_url}\nLogs    {stack.log_folder}\n"
            "Press Ctrl-C to stop everything.\n"
        )
        sys.stdout.flush()
        try:
            raise SystemExit(stack.supervisor.wait())
        except KeyboardInterrupt:
            sys.stdout.write("Stopping.\n")


if __name__ == "__main__":
    main()
