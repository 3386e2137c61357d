"""How a worker takes a message: one that is no task as Celery sends it is refused, and the worker goes on.

Celery 5.7 unpacks a message in the worker's own process and expects it to be well formed: a body of two
parts instead of three, or a text where a number should be, ended the worker, which gave the message back for
the next one to die of.
"""

from typing import Any

from celery.app.task import Task
from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default


def refusing(task: Any, app: Any, consumer: Any, **options: Any) -> Any:
    """Celery's own strategy, with an error that its worker knows to survive."""
    take = default(task, app, consumer, **options)

    def take_or_refuse(message: Any, *args: Any, **more: Any) -> Any:
        try:
            return take(message, *args, **more)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise InvalidTaskError(f"no message of a task: {error!r}") from error

    return take_or_refuse


class StrictTask(Task):  # type: ignore[misc]
    """What every task of the app is."""

    Strategy = "agent_runtime.tasks.strict_messages:refusing"
