"""Ringing for a job, and whether anybody hears it."""

import asyncio
import time
from collections.abc import Awaitable
from typing import NamedTuple

from kombu.exceptions import OperationalError
from redis.exceptions import NoPermissionError

from agent_runtime.manager import EnqueueError, JobProgress, JobState
from agent_runtime.tasks import Job, app
from agent_runtime.tasks.celery_config import queue_of
from agent_runtime.worker.cli.actions.connection import Connection
from agent_runtime.worker.cli.terminal.output import Output

#: How long a worker may take to begin a job, and to answer, seconds.
_PATIENCE_SECONDS = 1.0
_LOOK_SECONDS = 0.02

#: By default Celery tries a hundred times to reach a broker.
_ONE_TRY = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0, "interval_max": 0.1}


class Enqueued(NamedTuple):
    """What has become of a request to enqueue."""

    job: Job
    progress: JobProgress
    #: Whether the broker took the message.
    enqueued: bool
    worker_answers: bool

    def warn(self, out: Output) -> None:
        """Says what is missing for the job to be done."""
        if not self.enqueued:
            revoked = " What it deletes is revoked already." if self.progress.kind.deletes else ""
            out.note(
                f"The broker did not take the message.{revoked} The job waits in the ledger; Beat's"
                " resume_stalled_jobs enqueues it when the broker, Beat and a worker are there.",
            )
        elif not self.worker_answers:
            out.note(
                "No worker answers; the job waits until there is one. To start one:",
                "  celery -A worker worker",
            )


async def enqueue(here: Connection, request: Awaitable[Job]) -> Enqueued:
    """Waits for what enqueues a job. A broker that is down is no failure: the job is in the ledger."""
    try:
        job = await request
    except EnqueueError as error:
        job = here.jobs.get(error.job_id)
        return Enqueued(job, await job.progress(), enqueued=False, worker_answers=False)
    there = await _a_worker_is_there(job)
    return Enqueued(job, await job.progress(), enqueued=True, worker_answers=there)


async def _a_worker_is_there(job: Job) -> bool:
    """Whether a worker has begun the job, or answers for its queue. Takes two seconds at most."""
    progress = await job.progress()
    until = time.monotonic() + _PATIENCE_SECONDS
    while progress.state is JobState.QUEUED and time.monotonic() < until:
        await asyncio.sleep(_LOOK_SECONDS)
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
        return False  # a caller with few rights may not ask
    return any(each["name"] == queue for queues in answers.values() for each in queues)
