"""Sends the message that says "look at this job in the ledger"."""

from functools import cache

from celery import Celery
from kombu.exceptions import OperationalError

from manager import EnqueueError, JobProgress, Settings
from tasks.celery_config import celery_config, queue_of


@cache
def _publishing_app(settings: Settings) -> Celery:
    """One for each settings, because an app that has published is never freed by Celery."""
    app = Celery("agent_sessions_doorbell", set_as_current=False)
    app.conf.update(celery_config(settings), result_backend="disabled://")
    return app


class Doorbell:
    """Rings for jobs.

    It publishes through an app without a result backend: with one, Celery subscribes to the result's channel
    before it publishes, and a backend that is down was seen to block the caller for 19 s.
    """

    def __init__(self, settings: Settings) -> None:
        self._app = _publishing_app(settings)

    def ring(self, progress: JobProgress) -> None:
        """Enqueues a slice of the job, under the job's id as task id. Blocks for some seconds at most.

        Raises:
            EnqueueError: the broker did not take the message; the lifeline will ring later.
        """
        try:
            self._app.send_task(
                "tasks.run_job",
                (progress.job_id,),
                task_id=progress.job_id,
                queue=queue_of(progress.kind),
            )
        except (OperationalError, OSError) as error:
            raise EnqueueError(
                f"the broker did not take the message for job {progress.job_id!r}: {error}. The job is in the"
                " ledger; what it revokes is revoked, and tasks.resume_stalled_jobs enqueues it again"
            ) from error
