"""Read from the processes of the pool until they have ended.

A worker that is told to stop forgets each task of which it has not read yet that a process has accepted it.
It then reads only while it knows of a task, so the process waits for its message to be read, and ends after
30 s at the latest. Under load, one in ten workers took so long after SIGTERM.

Upstream: celery/celery#6863 (the pull request that made the pool forget such tasks; the delay itself is not
    reported upstream as of 2026-11).
Seen with: celery 5.7.0
Remove when: celery > 5.7 reads from the pool's processes until they have ended, whatever tasks it knows.
"""

from multiprocessing.connection import wait

from celery.concurrency.asynpool import TERMINATE, AsynPool, ResultHandler

#: Between two checks if a process has ended, seconds.
_POLL_SECONDS = 0.1


class DrainingResultHandler(ResultHandler):  # type: ignore[misc]
    """Reads what each process of the pool writes until the process has ended."""

    def on_stop_not_started(self) -> None:
        super().on_stop_not_started()
        while self._state != TERMINATE and (running := self._running()):
            for fileno in wait(running, _POLL_SECONDS):
                self._flush_outqueue(fileno, self._forget, self.fileno_to_outq, self.on_state_change)

    def _running(self) -> list[int]:
        """Return the file descriptors of the processes that have not ended."""
        return [fileno for fileno, process in tuple(self.fileno_to_outq.items()) if process._is_alive()]

    def _forget(self, fileno: int) -> None:
        self.fileno_to_outq.pop(fileno, None)


def install() -> None:
    """Have all pools of processes read this way."""
    AsynPool.ResultHandler = DrainingResultHandler
