"""Sends the message that says "look at this job in the ledger"."""

import time
from functools import cache
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from agent_runtime.manager import Settings, SettingsError
from agent_runtime.manager.jobs import EnqueueError, Record, Slice
from agent_runtime.tasks.celery_config import celery_config, queue_of

#: A broker that kept a caller waiting for longer than this, seconds, is left alone for as long as that says.
#: Fifty callers at once wait in six threads: without this, the last of them heard of it after 38 s.
_SLOW_SECONDS, _PAUSE_SECONDS = 1.0, 2.0

#: Until when it is left alone, by the monotonic clock.
_left_alone_until: dict[Celery, float] = {}


@cache
def _publishing_app(settings: Settings) -> Celery:
    """One for each settings, because an app that has published is never freed by Celery."""
    app = Celery("agent_sessions_publisher", set_as_current=False)
    app.conf.update(celery_config(settings), result_backend="disabled://")
    try:  # now, because a job that rings in vain has revoked its sessions already
        app.connection_for_write().get_transport_cls()
    except (KeyError, ValueError, ImportError):  # its message may show a part of a password
        raise SettingsError(
            "AGENT_SESSIONS_BROKER_URL must be the address of a broker, like redis://host:6379/1"
        ) from None
    return app


def message_of(slice_: Slice) -> dict[str, Any]:
    """What the message for a slice consists of. The id of a job's task is the job's id, throughout; work on
    the same job beside it has the shard's number behind that.
    """
    task_id = f"{slice_.job_id}:{slice_.shard}" if slice_.shard else slice_.job_id
    arguments = {"job_id": slice_.job_id, "shard": slice_.shard, "number": slice_.number}
    return {"kwargs": arguments, "task_id": task_id, "queue": queue_of(slice_.kind)}


class Publisher:
    """Rings for jobs.

    It publishes through an app without a result backend: with one, Celery subscribes to the result's channel
    before it publishes, and a backend that is down was seen to block the caller for 19 s.
    """

    def __init__(self, settings: Settings) -> None:
        self._app = _publishing_app(settings)
        self._shards = settings.job_parallelism

    def publish(self, job: Record) -> None:
        """Enqueues the job's next slice; where it has parts for more workers, one for each. Blocks for some
        seconds at most.

        Raises:
            EnqueueError: the broker did not take the message; the lifeline will ring later.
        """
        self.send(job.next_slices(self._shards))

    def send(self, slices: list[Slice]) -> None:
        """Enqueues these slices. Raises as `publish`."""
        for slice_ in slices:
            started = time.monotonic()
            if started < _left_alone_until.get(self._app, started):
                raise _not_taken(slice_, "it has just kept another caller waiting in vain")
            try:
                self._app.send_task("tasks.run_job", **message_of(slice_))
            # kombu raises the last on a channel that another thread has lost its connection under.
            except (OperationalError, OSError, AttributeError) as error:
                if time.monotonic() - started > _SLOW_SECONDS:
                    _left_alone_until[self._app] = time.monotonic() + _PAUSE_SECONDS
                raise _not_taken(slice_, str(error)) from error


def _not_taken(slice_: Slice, reason: str) -> EnqueueError:
    return EnqueueError(
        f"the broker did not take the message for job {slice_.job_id!r}: {reason}. The job is in the"
        " ledger; what it revokes is revoked, and tasks.resume_stalled_jobs enqueues it again",
        slice_.job_id,
    )
