"""Enqueue a job, and find out if a worker takes it."""

import asyncio
import time
from collections.abc import Awaitable
from typing import NamedTuple

from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError

from agent_runtime.manager.jobs import EnqueueError, JobProgress, JobSpec, JobState
from agent_runtime.tasks import Job, app
from agent_runtime.tasks.celery_config import queue_of
from agent_runtime.worker.cli.actions.connection import Connection
from agent_runtime.worker.cli.terminal.output import Output

#: Time for a worker to start a job, and then to answer a ping, seconds.
_PATIENCE_SECONDS = 1.0
_POLL_SECONDS = 0.02

#: Celery's default is a hundred tries to reach a broker.
_ONE_TRY = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0, "interval_max": 0.1}


class Enqueued(NamedTuple):
    """A job that was opened, and what is known of its message."""

    job: Job
    progress: JobProgress
    #: True if the broker accepted the message.
    enqueued: bool
    #: True if a worker has started the job or reads its queue.
    worker_answers: bool

    def warn(self, out: Output) -> None:
        """Tell the user what keeps the job from being done."""
        if not self.enqueued:
            revoked = " The sessions are revoked already." if JobSpec.of(self.progress.kind).deletes else ""
            out.note(
                f"The broker did not accept the message.{revoked} The job is in the job store; Beat's task"
                " resume_stalled_jobs enqueues it once the broker, Beat and a worker are running.",
            )
        elif not self.worker_answers:
            out.note(
                "No worker answers; the job waits for one. To start a worker:",
                "  celery -A agent_runtime worker",
            )


async def enqueue(connection: Connection, request: Awaitable[Job]) -> Enqueued:
    """Await the request that enqueues a job.

    A broker that is down is no failure: the job is in the job store.
    """
    try:
        job = await request
    except EnqueueError as error:
        job = connection.jobs.get(error.job_id)
        return Enqueued(job, await job.progress(), enqueued=False, worker_answers=False)
    worker_answers = await _worker_answers(job)
    return Enqueued(job, await job.progress(), enqueued=True, worker_answers=worker_answers)


async def _worker_answers(job: Job) -> bool:
    """Return True if a worker has started the job or reads its queue. Takes two seconds at most."""
    progress = await job.progress()
    until = time.monotonic() + _PATIENCE_SECONDS
    while progress.state is JobState.QUEUED and time.monotonic() < until:
        await asyncio.sleep(_POLL_SECONDS)
        progress = await job.progress()
    if progress.state is JobState.RUNNING or progress.state.ended:
        return True
    return await asyncio.to_thread(_some_worker_reads, queue_of(progress.kind))


def _some_worker_reads(queue: str) -> bool:
    options = {**app.conf.broker_transport_options, **_ONE_TRY}
    try:
        with app.connection_for_write(transport_options=options) as connection:
            inspect = app.control.inspect(timeout=_PATIENCE_SECONDS, connection=connection)
            answers = inspect.active_queues() or {}
    except (OperationalError, OSError, NoPermissionError):
        return False  # a caller without the rights may not ask
    return any(each["name"] == queue for queues in answers.values() for each in queues)
