"""What the processes of a worker's pool say while the worker stops."""

from multiprocessing.connection import wait

from celery.concurrency.asynpool import TERMINATE, AsynPool, ResultHandler

#: Between two looks whether processes have ended, seconds.
_LOOK_UP_SECONDS = 0.1


class SteadyResultHandler(ResultHandler):  # type: ignore[misc]
    """Listens to the processes of the pool until they have ended.

    Celery 5.7.0 forgets a task that a process has begun, where it has not yet heard so when it is told to
    stop, and listens only for tasks that it knows. The process ends by itself once it was heard, or after
    30 s: under load, some one in ten workers went on for so long after SIGTERM.
    """

    def on_stop_not_started(self) -> None:
        super().on_stop_not_started()
        while self._state != TERMINATE and (running := self._running()):
            for fileno in wait(running, _LOOK_UP_SECONDS):
                self._flush_outqueue(fileno, self._forget, self.fileno_to_outq, self.on_state_change)

    def _running(self) -> list[int]:
        """What the processes that have not ended are heard by."""
        return [fileno for fileno, process in tuple(self.fileno_to_outq.items()) if process._is_alive()]

    def _forget(self, fileno: int) -> None:
        self.fileno_to_outq.pop(fileno, None)


def install() -> None:
    """Has all pools of processes listen in this way."""
    AsynPool.ResultHandler = SteadyResultHandler
