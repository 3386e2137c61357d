"""Publishes slices: sends the message that says "look at this job in the job store"."""

import os
import time
from functools import cache
from typing import Any

from celery import Celery
from kombu.exceptions import LimitExceeded, OperationalError
from kombu.pools import ProducerPool

from agent_runtime.manager import Settings, SettingsError
from agent_runtime.manager.jobs import EnqueueError, Record, Slice
from agent_runtime.tasks.celery_config import celery_config, queue_of

#: A broker that kept a caller waiting for longer than the first is left alone for the second, seconds. Fifty
#: callers at once wait in six threads: without this, the last of them heard of it after 38 s.
_SLOW_SECONDS, _PAUSE_SECONDS = 1.0, 2.0

#: The moment until which an app's broker is left alone, by the monotonic clock.
_left_alone_until: dict[Celery, float] = {}

#: Connections to an app's broker. Celery's own would be shared with a child that `os.fork` made: Celery
#: notices the forks of billiard alone.
_producers: dict[Celery, ProducerPool] = {}

#: What a child keeps of its parent. py-amqp shuts down the socket of a connection that is collected, and so
#: the parent's too.
_inherited: list[object] = []


@cache
def _publishing_app(settings: Settings) -> Celery:
    """Return the app that publishes to the broker of these settings. One for all callers, because Celery
    never frees an app that has published.
    """
    app = Celery("agent_sessions_publisher", set_as_current=False)
    app.conf.update(celery_config(settings), result_backend="disabled://")
    try:  # now, because a job that cannot be published has revoked its sessions already
        app.connection_for_write().get_transport_cls()
    except (KeyError, ValueError, ImportError):  # its message may show a part of a password
        raise SettingsError(
            "AGENT_SESSIONS_BROKER_URL must be the address of a broker, like redis://host:6379/1"
        ) from None
    return app


def _producers_of(app: Celery) -> ProducerPool:
    """Return the connections of this process to the broker of an app."""
    found = _producers.get(app)
    if found is None:
        limit = app.conf.broker_pool_limit
        made = ProducerPool(app.connection_for_write().Pool(limit), limit)  # type: ignore[no-untyped-call]
        found = _producers.setdefault(app, made)  # another thread may have made it meanwhile
    return found


def _leave_to_parent() -> None:
    _inherited.append({**_producers})
    _producers.clear()


os.register_at_fork(after_in_child=_leave_to_parent)


def message_of(slice_: Slice) -> dict[str, Any]:
    """Return the arguments of the message for a slice.

    The id of a job's task is the job's id, throughout; work on the same job beside it has the shard's number
    behind that.
    """
    task_id = f"{slice_.job_id}:{slice_.shard}" if slice_.shard else slice_.job_id
    arguments = {"job_id": slice_.job_id, "shard": slice_.shard, "number": slice_.number}
    return {"kwargs": arguments, "task_id": task_id, "queue": queue_of(slice_.kind)}


class Publisher:
    """Publishes slices to the workers of one app.

    By default these are workers of our own app, and the messages go through an app without a result backend:
    with one, Celery subscribes to the result's channel before it publishes, and a backend that is down was
    seen to block the caller for 19 s.

    Args:
        settings: name the broker, and how many workers may share a job.
        app: the app whose workers run the slices, if `install_tasks` has put our tasks into it.
    """

    def __init__(self, settings: Settings, app: Celery | None = None) -> None:
        self._app = _publishing_app(settings) if app is None else app
        self._shards = settings.job_parallelism

    def publish(self, job: Record) -> None:
        """Publish the job's next slice; if the job has several parts, one slice for each shard. Blocks for
        some seconds at most.

        Raises:
            EnqueueError: the broker did not accept the message; the rescue of stalled jobs publishes again.
        """
        self.send(job.next_slices(self._shards))

    def send(self, slices: list[Slice]) -> None:
        """Publish these slices. Raises as `publish`."""
        for slice_ in slices:
            started = time.monotonic()
            if started < _left_alone_until.get(self._app, started):
                raise _not_accepted(slice_, "it has just kept another caller waiting in vain")
            try:
                patience = self._app.conf.broker_pool_acquire_timeout
                producers: Any = _producers_of(self._app)
                with producers.acquire(block=True, timeout=patience) as producer:
                    self._app.send_task("tasks.run_job", producer=producer, **message_of(slice_))
            # kombu raises the last on a channel that another thread has lost its connection under.
            except (OperationalError, LimitExceeded, OSError, AttributeError) as error:
                if time.monotonic() - started > _SLOW_SECONDS:
                    _left_alone_until[self._app] = time.monotonic() + _PAUSE_SECONDS
                raise _not_accepted(slice_, str(error)) from error


def _not_accepted(slice_: Slice, reason: str) -> EnqueueError:
    return EnqueueError(
        f"the broker did not accept the message for job {slice_.job_id!r}: {reason}. The job is in the job"
        " store; what it revokes is revoked, and tasks.resume_stalled_jobs enqueues it again",
        slice_.job_id,
    )
