"""Tasks that work on jobs in the job store: one slice, and the rescue of stalled jobs."""

import time
from typing import Any

from celery.exceptions import Ignore
from celery.utils.log import get_task_logger

from agent_runtime.manager import AgentSessionsError, CorruptDataError, StoreError
from agent_runtime.manager.jobs import JobFailedError, JobProgress, JobState, Slice
from agent_runtime.tasks.async_bridge import bridge
from agent_runtime.tasks.publisher import message_of
from agent_runtime.tasks.task_definitions import SessionTask, define_task

logger = get_task_logger(__name__)

#: A task whose store is away, full or (in a fail-over) read-only tries again. Delays stay far below the
#: broker's visibility timeout, because the broker hands out again what waits longer.
RETRY_WHILE_STORE_IS_AWAY = {"autoretry_for": (StoreError,), "retry_backoff": 1, "retry_backoff_max": 20}

#: Tries of a slice. Without an end, each rescue of its job would add a message that never goes.
_SLICE_RETRIES = 5

#: Stalled jobs to take and publish before the next look at the clock.
_STALLED_AT_A_TIME = 20

#: Pause after the result backend did not take a job's progress, seconds: a frozen one costs 10 s a try.
_SHOW_AGAIN_SECONDS = 30.0

#: The moment from which this process shows progress, by its monotonic clock.
_show_from = 0.0


@define_task("tasks.run_job", acks_late=False)
def run_job(self: SessionTask, job_id: str, shard: int = 0, number: int | None = None) -> int | None:
    """Work on a job for one slice, then make room for others by going to the end of the queue.

    Args:
        job_id: the job.
        shard: 0, or another number for work on the same job beside it.
        number: of the slice, so that of two messages for the same slice the later one is void.

    Returns:
        The job's result, once it is done: sessions deleted, sessions swept, or checkpoints removed.

    Raises:
        InvalidArgumentError: an argument is of the wrong kind.
        JobNotFoundError: unknown id, or the job's record has expired.
        JobFailedError: the job has failed.
    """
    Slice.check(job_id, shard, number)
    here = bridge(self.settings)
    if runs_inline(self):
        return here.run(here.manager.jobs.run(job_id)).removed
    step = None
    try:
        for step in here.iterate(here.manager.jobs.steps(job_id, shard, number)):
            show_progress(self, step.progress)
    except (StoreError, CorruptDataError) as error:
        # Refused often enough, the job fails; that must come before the task's own end.
        tries = max(_SLICE_RETRIES, self.settings.max_attempts)
        delay = min(20, 2**self.request.retries)
        raise self.retry(
            args=(job_id, shard), kwargs={}, exc=error, countdown=delay, max_retries=tries
        ) from error
    if step is None:
        raise Ignore  # another message for this slice came first
    if step.next is not None:
        return self.replace(signature_of(self, step.next))  # type: ignore[no-any-return]
    return None if shard else result_of(self, step.progress)


@define_task("tasks.resume_stalled_jobs", acks_late=False)
def resume_stalled_jobs(self: SessionTask) -> int:
    """Publish open jobs that are due or that nobody has worked on for a while, whatever was lost.

    Takes some jobs at a time, and after `slice_seconds` leaves the others to the next run.

    Returns:
        How many jobs.
    """
    here = bridge(self.settings)
    jobs = here.manager.jobs
    until = time.monotonic() + self.settings.slice_seconds
    published = 0
    while stalled := here.run(jobs.take_stalled(_STALLED_AT_A_TIME)):
        published += sum(_was_published(self, job_id) for job_id in stalled)
        if time.monotonic() > until:
            break
    return published


def _was_published(task: SessionTask, job_id: str) -> bool:
    """Publish a stalled job. Return True if the broker accepted the message."""
    here = bridge(task.settings)
    try:
        task.publisher.publish(here.run(here.manager.jobs.read(job_id)))
    except (
        AgentSessionsError,
        ValueError,
    ):  # one that cannot be read must not keep others from being published
        logger.exception("no message for stalled job %s; the next run tries again", job_id)
        return False
    return True


def runs_inline(task: SessionTask) -> bool:
    """Return True if the task runs in its caller (called as a function, or eager), so that no slice can
    follow.
    """
    return bool(task.request.called_directly or task.request.is_eager)


def signature_of(task: SessionTask, slice_: Slice) -> Any:
    """Return the message for a slice, to replace a task of the same app by."""
    message = message_of(slice_)
    return task.app.signature("tasks.run_job", kwargs=message["kwargs"], queue=message["queue"])


def show_progress(task: SessionTask, progress: JobProgress) -> None:
    """Tell `AsyncResult.info`, and Flower, how far the job is. (Of an event that it does not know, Flower
    shows the kind and the field named `result`.)

    This is a courtesy: if the result backend is away, frozen or full, the work goes on without it.
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
        logger.warning("the result backend did not take the progress of %s: %s", progress.job_id, error)


def result_of(task: SessionTask, progress: JobProgress) -> int:
    """Return the result of a job that is done, and otherwise end its task as the job ended.

    The task of a job that is only halted keeps its callers waiting.
    """
    if progress.state is JobState.DONE:
        return progress.removed
    if progress.state is JobState.FAILED:
        raise JobFailedError(f"job {progress.job_id!r} has failed: {progress.error}")
    if progress.state in (JobState.CANCELLED, JobState.UNDONE):
        task.backend.mark_as_revoked(task.request.id, f"job {progress.state}", request=task.request)
    raise Ignore
