"""A consumer that lives through the loss of its broker, and through what is no message at all."""

from contextlib import suppress
from typing import Any

from celery.worker.consumer import Consumer

#: What else Celery's loop raises when a connection is lost or the broker hands out what is no message. Each
#: ended the process with Celery 5.7.0. What was read is gone from the queue then; connecting again goes on.
_TO_BE_LIVED_THROUGH = (AttributeError, TypeError, ValueError)


class SteadyConsumer(Consumer):  # type: ignore[misc]
    """Connects again where Celery's own ends the process.

    Celery 5.7.0 does so where a message is still to be acknowledged when the broker is lost (a prefetched one
    is enough): it closes the channel twice, and the second time tries to give the message back through a
    transport that has no client any more. Half of the restarts of a server under load ended a worker so.

    Here nothing is given back through a lost connection. The broker hands out again what was not
    acknowledged, after its visibility timeout; a job does not wait for that, because the lifeline rings.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        lost: tuple[type[BaseException], ...] = self.connection_errors  # type: ignore[has-type]
        self.connection_errors = (*lost, *_TO_BE_LIVED_THROUGH)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        """Gives nothing back by way of the lost connection."""
        with suppress(AttributeError):  # lost so early that it has no channels
            for channel in self.connection.connection.channels:
                channel.do_restore = False
        super().on_connection_error_after_connected(exc)
