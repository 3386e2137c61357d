"""Tasks before they belong to an app: functions with a name and options, in the order of their definition."""

from collections.abc import Callable
from typing import Any, NamedTuple

from celery import Celery

from agent_runtime.manager import Settings
from agent_runtime.tasks.publisher import Publisher
from agent_runtime.tasks.strict_messages import StrictTask


class TaskDefinition(NamedTuple):
    """A task that can be registered with any app."""

    function: Callable[..., Any]
    name: str
    options: dict[str, Any]


#: All tasks of this package.
DEFINITIONS: list[TaskDefinition] = []


class SessionTask(StrictTask):
    """A task on the jobs of one store. Registered with an app, it knows the app's settings."""

    #: Settings of the store and of the work on its jobs.
    settings: Settings
    #: The app that publishes slices; None for the one that `settings` name.
    publishing_app: Celery | None = None

    @property
    def publisher(self) -> Publisher:
        """Publishes to the workers that run this task."""
        return Publisher(self.settings, self.publishing_app)


def define_task(
    name: str, *, acks_late: bool, **options: Any
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Define a function as a task. Its first argument is the task itself, a `SessionTask`.

    Args:
        name: the same in every app.
        acks_late: True if the message is acknowledged after the task has run, whatever the app's default is.
        options: those of `Celery.task`.
    """

    def define(function: Callable[..., Any]) -> Callable[..., Any]:
        DEFINITIONS.append(TaskDefinition(function, name, {"acks_late": acks_late, **options}))
        return function

    return define
