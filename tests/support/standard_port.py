"""Port 6379, which two tests want: the contract's examples name it; `make dev` takes it where it is free."""

import fcntl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def standard_port_to_oneself() -> Iterator[None]:
    """While this is open, no other test on this machine begins anything with the port. (The one had used the
    server of the other, which then went.)
    """
    with (Path(tempfile.gettempdir()) / "agent-sessions-port-6379.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
