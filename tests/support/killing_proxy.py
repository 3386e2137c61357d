"""A proxy that kills the process which sends a batch of one job: to the job's workers, the job is deadly."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from agent_runtime.manager.scripts import batches as scripts
from tests.support.proxy import Proxy

_BATCH = scripts._RECLAIM_BATCH.sha.encode()


class KillingProxy(Proxy):
    """Kills whoever sends a batch of a deletion, before the server gets it. The batch is lost.

    Example:
        >>> async with KillingProxy(server.port) as proxy:
        ...     proxy.kill_at_batches_of(job.id)
        ...     with celery_worker(redis_url=proxy.url()):
    """

    def __init__(self, server_port: int) -> None:
        super().__init__(server_port)
        self._job = b""
        self._every, self._most = 1, 0
        self._batches = 0
        #: Processes killed so far.
        self.killed: list[int] = []

    def kill_at_batches_of(self, job_id: str, *, every: int = 1, most: int = 100) -> None:
        """From now on, at each batch of this job, or at each second one, until so many were killed."""
        self._job, self._every, self._most = job_id.encode(), every, most

    def spare(self) -> None:
        """From now on, nobody is killed."""
        self._job = b""

    def takes(self, chunk: bytes, client_port: int) -> bool:
        if not self._job or self._job not in chunk or _BATCH not in chunk:
            return False
        self._batches += 1
        if self._batches % self._every or len(self.killed) == self._most:
            return False
        pid = _owner_of(client_port)
        assert pid != os.getpid(), "only workers go through this proxy"
        os.kill(pid, signal.SIGKILL)
        self.killed.append(pid)
        return True


def _owner_of(port: int) -> int:
    """The process that has the end of a connection with this port of 127.0.0.1."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inode = next(row[9] for row in rows if row[1] == f"0100007F:{port:04X}")
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # of somebody else, or closed meanwhile
            if descriptor.readlink().name == f"socket:[{inode}]":
                return int(descriptor.parts[2])
    raise LookupError(f"nobody has port {port}")
