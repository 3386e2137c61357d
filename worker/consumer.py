"""A consumer that lives through the loss of its broker.

Celery 5.7.0 does not, where a message is still to be acknowledged at that moment (a prefetched one is enough):
it closes the channel twice, and the second time tries to give the message back through a transport that has no
client any more. `AttributeError: 'NoneType' object has no attribute 'hostname'` then ended the process in about
half of the restarts of a server under load.
"""

from contextlib import suppress
from typing import Any

from celery.worker.consumer import Consumer


class SteadyConsumer(Consumer):  # type: ignore[misc]
    """Connects again instead. The broker itself hands out again what was not acknowledged, after its visibility
    timeout; a job does not wait for that, because the lifeline rings for it.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # An acknowledgement that was to leave through the lost channel fails in the same way, but later.
        self.connection_errors = (*self.connection_errors, AttributeError)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        """Gives nothing back by way of the lost connection."""
        with suppress(AttributeError):  # lost so early that it has no channels
            for channel in self.connection.connection.channels:
                channel.do_restore = False
        super().on_connection_error_after_connected(exc)
