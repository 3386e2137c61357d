"""Configuration of Celery, from our settings. Each line that is not Celery's default says why."""

from typing import Any

from kombu.entity import Queue

from agent_runtime.manager import Settings
from agent_runtime.manager.jobs import JobKind, JobSpec
from agent_runtime.tasks.celery_urls import CeleryUrl, next_database, split_tls

#: Queues of bulk work; of upkeep, which must not wait behind it; and of tasks that other programs send.
BULK_QUEUE, MAINTENANCE_QUEUE, FOREIGN_QUEUE = "bulk", "maintenance", "celery"

#: First part of the name of each environment variable.
_ENV_PREFIX = Settings.model_config["env_prefix"]

#: After so long the broker hands out again what a worker took and did not acknowledge, seconds. Slices are
#: acknowledged when they start, so only entry tasks (milliseconds) and one prefetched message can wait.
_VISIBILITY_TIMEOUT_SECONDS = 120

#: kombu waits this long within one blocking read, seconds; a socket with less patience would break it off.
_LEAST_SOCKET_TIMEOUT_SECONDS = 2.0

_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": _VISIBILITY_TIMEOUT_SECONDS,
    # The broker looks for such messages every 5 s; by default every 100 s.
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    # A worker that dies while it looks would by default keep all others from looking for 5 minutes.
    "unacked_mutex_expire": 20,
    "socket_keepalive": True,
    "health_check_interval": 10,
}


#: Routes of our tasks, each by its full name: many programs have tasks of their own called `tasks.…`.
ROUTES = {
    "tasks.cleanup_expired_sessions": {"queue": MAINTENANCE_QUEUE},
    "tasks.resume_stalled_jobs": {"queue": MAINTENANCE_QUEUE},
    "tasks.delete_user_sessions": {"queue": BULK_QUEUE},
    "tasks.delete_agent_sessions": {"queue": BULK_QUEUE},
    "tasks.prune_checkpoints": {"queue": BULK_QUEUE},
    "tasks.run_job": {"queue": BULK_QUEUE},
}

#: Configuration that does not depend on settings.
_FIXED: dict[str, Any] = {
    # Never give up on the broker (the default is to exit after 100 tries), not even when it is full.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    "broker_pool_acquire_timeout": 5,
    # A caller hears within seconds that the broker is down.
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.1},
    "redis_backend_health_check_interval": 10,
    # Publishing subscribes to the result first. By default that was tried for 19 s on a server that is down.
    "result_backend_transport_options": {"retry_policy": {"max_retries": 1, "interval_start": 0.1}},
    # JSON only: a pickle from the broker would be code from the broker.
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "task_default_queue": FOREIGN_QUEUE,
    # A mistyped queue is an error, not a queue that nobody reads.
    "task_create_missing_queues": False,
    "task_routes": ROUTES,
    "worker_prefetch_multiplier": 1,
    "task_send_sent_event": True,
    "worker_send_task_events": True,
    # A tick needs no memory of earlier ones, so Beat keeps no file and starts in any folder.
    "beat_scheduler": "celery.beat:Scheduler",
    "beat_max_loop_interval": 5,
}


def queue(name: str) -> Queue:
    """Return a new declaration of a queue. (Celery writes into it.)"""
    return Queue(name, routing_key=name)  # type: ignore[no-untyped-call]


def task_queues() -> list[Queue]:
    """Return the queues of our tasks."""
    return [queue(BULK_QUEUE), queue(MAINTENANCE_QUEUE)]


def task_time_limit(settings: Settings) -> float:
    """Return the longest that a task may take, seconds.

    A slice that has not ended by then is stuck; the rescue of stalled jobs takes its job up again.
    """
    return settings.slice_seconds + 60


def queue_of(kind: JobKind) -> str:
    """Return the queue for slices of a job.

    Example:
        >>> queue_of(JobKind.SWEEP)
        'maintenance'
    """
    return MAINTENANCE_QUEUE if JobSpec.of(kind).is_upkeep else BULK_QUEUE


def celery_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration of our own app, apart from the schedule."""
    # Without time-outs, publishing to a server that accepts and never answers blocks for ever.
    timeouts = {
        "socket_timeout": max(settings.call_timeout_seconds, _LEAST_SOCKET_TIMEOUT_SECONDS),
        "socket_connect_timeout": settings.connect_timeout_seconds,
    }
    broker, broker_tls = _address(settings, "broker_url", offset=1)
    backend, backend_tls = _address(settings, "result_backend", offset=2)
    return {
        **_FIXED,
        **{f"redis_{name}": seconds for name, seconds in timeouts.items()},
        "broker_transport_options": {**_BROKER_TRANSPORT_OPTIONS, **timeouts},
        "broker_url": broker,
        "broker_use_ssl": broker_tls,
        "result_backend": backend,
        "redis_backend_use_ssl": backend_tls,
        "result_expires": settings.job_retention_seconds,
        "task_queues": [queue(FOREIGN_QUEUE), *task_queues()],
        "task_time_limit": task_time_limit(settings),
    }


def _address(settings: Settings, field: str, *, offset: int) -> tuple[CeleryUrl, dict[str, Any] | None]:
    """Return the address of broker or results, as set or beside the sessions, and what it says about TLS."""
    own: str | None = getattr(settings, field)
    if own is not None:
        return split_tls(f"{_ENV_PREFIX}{field.upper()}", own)
    return split_tls(f"{_ENV_PREFIX}REDIS_URL", next_database(settings.redis_url, offset))
