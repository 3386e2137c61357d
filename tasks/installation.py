"""Puts this package's tasks into a Celery app: our own, or a caller's."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from celery import Celery
from celery._state import _get_active_apps, connect_on_app_finalize
from kombu.entity import Queue

from agent_runtime.beat_schedule import beat_schedule
from agent_runtime.manager import Settings, load_settings
from agent_runtime.tasks import entry_tasks, job_tasks
from agent_runtime.tasks.celery_config import ROUTES, task_queues, task_time_limit
from agent_runtime.tasks.task_definitions import DEFINITIONS, SessionTask

#: Modules of which an app may name one in its `include` or `imports`, instead of calling `install_tasks`.
_INCLUDABLE = {"agent_runtime.tasks", entry_tasks.__name__, job_tasks.__name__}

_installed: WeakSet[Celery] = WeakSet()


def register_tasks(
    app: Celery, settings: Settings, *, publishing_app: Celery | None = None, lazy: bool
) -> dict[str, Any]:
    """Register the tasks with an app, and with no other. Return them by their names without `tasks.`.

    Args:
        publishing_app: the app that publishes slices, if it is not the one that `settings` name.
        lazy: True to wait for the app's configuration, which is not read before.
    """
    return {
        name.removeprefix("tasks."): app.task(
            bind=True,
            base=SessionTask,
            name=name,
            shared=False,  # by default, Celery registers a task with every app of the process
            lazy=lazy,
            serializer="json",
            time_limit=task_time_limit(settings),
            settings=settings,
            publishing_app=publishing_app,
            **options,
        )(function)
        for function, name, options in DEFINITIONS
    }


def install_tasks(app: Celery, settings: Settings | None = None) -> None:
    """Let a caller's Celery app run jobs, beside the app's own tasks.

    Registers the tasks `tasks.delete_user_sessions` and so on with the app, adds their routes, the queues
    `bulk` and `maintenance`, and the entries of the beat schedule to the app's configuration. What the app is
    configured with already stays. Slices are published through the app. A worker that names its queues (`-Q`)
    has to name these two as well.

    Args:
        app: the caller's app. Another call for the same app changes nothing.
        settings: which store the jobs are in, and how they are worked on; by default from the environment.
            The app's own broker and result backend are used, never those of the settings.

    Example:
        >>> app = Celery("shop", broker="redis://localhost:6379/1", backend="redis://localhost:6379/2")
        >>> install_tasks(app)
        >>> job = await SessionJobs(manager, app=app).delete_user_sessions("user_123")
    """
    if app in _installed:
        return
    settings = settings or load_settings()
    _installed.add(app)
    register_tasks(app, settings, publishing_app=app, lazy=True)

    def configure(source: Any, **_: object) -> None:
        _configure(source, settings)

    # The app's configuration may be read later, and may be read again.
    app.on_after_configure.connect(configure, weak=False)
    if app.configured:
        _configure(app.conf, settings)
        app.amqp.__dict__.pop("queues", None)  # or those of before stay


def _configure(conf: Any, settings: Settings) -> None:
    """Add queues, routes and schedule to the configuration of an app, behind what is there."""
    queues = conf.task_queues or [_default_queue(conf)]
    if isinstance(queues, Mapping):
        conf.task_queues = {**{queue.name: queue for queue in task_queues()}, **queues}
    else:
        names = {queue.name for queue in queues}
        conf.task_queues = [*queues, *(queue for queue in task_queues() if queue.name not in names)]
    routes = conf.task_routes or []
    routes = list(routes) if isinstance(routes, list | tuple) else [routes]
    if ROUTES not in routes:
        conf.task_routes = [*routes, ROUTES]
    conf.beat_schedule = {**beat_schedule(settings), **(conf.beat_schedule or {})}


def _default_queue(conf: Any) -> Queue:
    """Return the queue that Celery gives an app without any, and takes away once the app has one."""
    is_quorum = conf.task_default_queue_type == "quorum"
    arguments = {"x-queue-type": "quorum"} if is_quorum else None
    return Queue(conf.task_default_queue, queue_arguments=arguments)  # type: ignore[no-untyped-call]


def _install_if_included(app: Celery) -> None:
    if _INCLUDABLE & {*(app.conf.include or ()), *(app.conf.imports or ())}:
        install_tasks(app)


def install_where_included() -> None:
    """Install the tasks in each app that names one of their modules in `include` or `imports`."""
    connect_on_app_finalize(_install_if_included)
    for app in _get_active_apps():
        if app.finalized:
            _install_if_included(app)
