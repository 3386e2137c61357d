"""Work on jobs that are in the ledger: one slice, and the lifeline."""

from typing import Any

from celery import Task
from celery.utils.log import get_task_logger

from manager import AgentSessionsError, JobProgress, StoreError
from tasks.bridge import bridge
from tasks.celery_app import app
from tasks.celery_config import queue_of
from tasks.doorbell import Doorbell

logger = get_task_logger(__name__)

#: A task whose store is away, full or (in a fail-over) read-only tries again. Delays stay far below the
#: broker's visibility timeout, because the broker hands out again what waits longer.
RETRY_WHILE_STORE_IS_AWAY = {"autoretry_for": (StoreError,), "retry_backoff": 1, "retry_backoff_max": 20}

#: Tries of a slice. There is an end, or each ring of the lifeline would add a message that never goes.
_SLICE_RETRIES = 5


@app.task(bind=True, name="tasks.run_job", max_retries=_SLICE_RETRIES, **RETRY_WHILE_STORE_IS_AWAY)
def run_job(self: "Task[Any, Any]", job_id: str) -> int:
    """Works on a job for one slice, then makes room for others by going to the end of the queue.

    Returns:
        The job's result, once it is done: sessions deleted, sessions cleaned, or checkpoints removed.

    Raises:
        JobNotFoundError: there is no such job.
    """
    here = bridge()
    if runs_inline(self):
        return here.run(here.manager.ledger.run(job_id)).removed
    progress = here.run(here.manager.ledger.run_slice(job_id))
    show_progress(self, progress)
    if not progress.finished:
        return self.replace(slice_of(progress))  # type: ignore[no-any-return]
    return progress.removed


@app.task(name="tasks.resume_stalled_jobs")
def resume_stalled_jobs() -> int:
    """Rings for every open job that nobody has worked on for a while, whatever was lost.

    Returns:
        How many jobs.
    """
    here = bridge()
    ledger = here.manager.ledger
    doorbell = Doorbell(here.manager.settings)
    rung = 0
    for job_id in here.run(ledger.take_stalled()):
        try:
            doorbell.ring(here.run(ledger.progress(job_id)))
            rung += 1
        except (AgentSessionsError, ValueError):  # one that cannot be read must not keep the bell from others
            logger.exception("no message for stalled job %s; the next look tries again", job_id)
    return rung


def runs_inline(task: "Task[Any, Any]") -> bool:
    """Whether the task runs in its caller (called as a function, or eager), so that no slice can follow."""
    return bool(task.request.called_directly or task.request.is_eager)


def slice_of(progress: JobProgress) -> Any:
    """The message for the next slice of a job."""
    return run_job.s(progress.job_id).set(queue=queue_of(progress.kind))


def show_progress(task: "Task[Any, Any]", progress: JobProgress) -> None:
    """Tells Flower how far the job is (of a custom event, Flower shows the field named `result`)."""
    task.send_event("task-progress", result=f"{progress.done}/{progress.total}")
