"""Work on jobs that are in the ledger: one slice, and the lifeline."""

import time
from typing import Any

from celery import Task
from celery.exceptions import Ignore
from celery.utils.log import get_task_logger

from agent_runtime.manager import AgentSessionsError, CorruptDataError, StoreError
from agent_runtime.manager.jobs import JobFailedError, JobProgress, JobState, Slice
from agent_runtime.tasks.async_bridge import bridge
from agent_runtime.tasks.celery_app import app
from agent_runtime.tasks.publisher import Publisher, message_of

logger = get_task_logger(__name__)

#: A task whose store is away, full or (in a fail-over) read-only tries again. Delays stay far below the
#: broker's visibility timeout, because the broker hands out again what waits longer.
RETRY_WHILE_STORE_IS_AWAY = {"autoretry_for": (StoreError,), "retry_backoff": 1, "retry_backoff_max": 20}

#: Tries of a slice. There is an end, or each ring of the lifeline would add a message that never goes.
_SLICE_RETRIES = 5

#: Stalled jobs to take and ring for before the next look at the clock.
_STALLED_AT_A_TIME = 20

#: Pause after the store of results did not take a job's progress, seconds: a frozen one costs 10 s a try.
_SHOW_AGAIN_SECONDS = 30.0

#: From when on this process shows progress, by its monotonic clock.
_show_from = 0.0


@app.task(bind=True, name="tasks.run_job")
def run_job(self: "Task[Any, Any]", job_id: str, shard: int = 0, number: int | None = None) -> int | None:
    """Works on a job for one slice, then makes room for others by going to the end of the queue.

    Args:
        job_id: the job.
        shard: 0, or another number for work on the same job beside it.
        number: of the slice, so that of two messages for the same slice the later one is void.

    Returns:
        The job's result, once it is done: sessions deleted, sessions cleaned, or checkpoints removed.

    Raises:
        InvalidArgumentError: an argument is of the wrong kind.
        JobNotFoundError: there is no such job.
        JobFailedError: the job has failed.
    """
    Slice.check(job_id, shard, number)
    here = bridge()
    if runs_inline(self):
        return here.run(here.manager.jobs.run(job_id)).removed
    step = None
    try:
        for step in here.iterate(here.manager.jobs.steps(job_id, shard, number)):
            show_progress(self, step.progress)
    except (StoreError, CorruptDataError) as error:
        # Refused often enough, the job fails; that must come before the task's own end.
        tries = max(_SLICE_RETRIES, here.manager.settings.max_attempts)
        delay = min(20, 2**self.request.retries)
        raise self.retry(
            args=(job_id, shard), kwargs={}, exc=error, countdown=delay, max_retries=tries
        ) from error
    if step is None:
        raise Ignore  # another message for this slice came first
    if step.next is not None:
        return self.replace(signature_of(step.next))  # type: ignore[no-any-return]
    return None if shard else result_of(self, step.progress)


@app.task(name="tasks.resume_stalled_jobs")
def resume_stalled_jobs() -> int:
    """Rings for open jobs that are due or that nobody has worked on for a while, whatever was lost. It takes
    some at a time, and after `slice_seconds` leaves the others to the next look.

    Returns:
        How many jobs.
    """
    here = bridge()
    jobs = here.manager.jobs
    until = time.monotonic() + here.manager.settings.slice_seconds
    rung = 0
    while stalled := here.run(jobs.take_stalled(_STALLED_AT_A_TIME)):
        rung += sum(_was_published(job_id) for job_id in stalled)
        if time.monotonic() > until:
            break
    return rung


def _was_published(job_id: str) -> bool:
    """Whether the broker took a message for a stalled job."""
    here = bridge()
    try:
        Publisher(here.manager.settings).publish(here.run(here.manager.jobs.read(job_id)))
    except (AgentSessionsError, ValueError):  # one that cannot be read must not keep the bell from others
        logger.exception("no message for stalled job %s; the next look tries again", job_id)
        return False
    return True


def runs_inline(task: "Task[Any, Any]") -> bool:
    """Whether the task runs in its caller (called as a function, or eager), so that no slice can follow."""
    return bool(task.request.called_directly or task.request.is_eager)


def signature_of(turn: Slice) -> Any:
    """The message for a slice, to replace a task by."""
    message = message_of(turn)
    return run_job.s(**message["kwargs"]).set(queue=message["queue"])


def show_progress(task: "Task[Any, Any]", progress: JobProgress) -> None:
    """Tells `AsyncResult.info`, and Flower, how far the job is. (Of an event that it does not know, Flower
    shows the kind and the field named `result`.)

    It is a courtesy: where the store of results is away, frozen or full, the work goes on without it.
    """
    global _show_from
    state = "paused" if progress.state is JobState.PAUSED else "progress"
    task.send_event(f"task-{state}", result=f"{progress.done}/{progress.total}")
    if progress.state.ended or time.monotonic() < _show_from:
        return
    try:
        task.update_state(state=state.upper(), meta=progress.model_dump(mode="json"))
    except Exception as error:  # each kind of store has errors of its own
        _show_from = time.monotonic() + _SHOW_AGAIN_SECONDS
        logger.warning("the store of results did not take the progress of %s: %s", progress.job_id, error)


def result_of(task: "Task[Any, Any]", progress: JobProgress) -> int:
    """How the task ends with the job. One that is only halted keeps its callers waiting."""
    if progress.state is JobState.DONE:
        return progress.removed
    if progress.state is JobState.FAILED:
        raise JobFailedError(f"job {progress.job_id!r} has failed: {progress.error}")
    if progress.state in (JobState.CANCELLED, JobState.UNDONE):
        task.backend.mark_as_revoked(task.request.id, f"job {progress.state}", request=task.request)
    raise Ignore
