"""Refuses messages that are no tasks as Celery sends them, so that the worker goes on.

Celery 5.7 unpacks a message in the worker's own process and expects a well-formed one: a body of two parts
instead of three, or a text in the place of a number, ended the worker, which gave the message back for the
next one to die of.
"""

from typing import Any

from celery.app.task import Task
from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default


def refusing(task: Any, app: Any, consumer: Any, **options: Any) -> Any:
    """Return Celery's own strategy, with an error that its worker survives."""
    take = default(task, app, consumer, **options)

    def take_or_refuse(message: Any, *args: Any, **more: Any) -> Any:
        try:
            return take(message, *args, **more)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise InvalidTaskError(f"no message of a task: {error!r}") from error

    return take_or_refuse


class StrictTask(Task):  # type: ignore[misc]
    """A task whose malformed messages are refused."""

    Strategy = "agent_runtime.tasks.strict_messages:refusing"
