"""Reconnect after a lost broker or an unreadable message: Celery ends the worker process.

Lost broker: Celery closes the connection twice, in `collect()` and in `close()`. If the worker holds a
message that is not acknowledged (a prefetched one is enough), the second close tries to give the message back
through a transport without a client, and the AttributeError ends the process. Half of the restarts of a
server under load ended a worker this way.

Unreadable message: kombu raises TypeError or ValueError from the event loop if a list in the broker holds
something that is no message. The message is gone from the queue then, so reconnecting is enough.

Upstream: celery/celery#10242 (the pull request that added the second close, for celery/celery#9705; the crash
    itself is not reported upstream as of 2026-11), celery/celery#7975 (unreadable message, open).
Seen with: celery 5.7.0, kombu 5.7.0
Remove when: celery > 5.7 closes the connection without giving messages back, and drops what is no message.
"""

from contextlib import suppress
from typing import Any

from celery.worker.consumer import Consumer

#: Raised by Celery's event loop, beside the errors of the connection, if the broker is lost or if what it
#: delivers is no message.
_ALSO_LOST = (AttributeError, TypeError, ValueError)


class ReconnectingConsumer(Consumer):  # type: ignore[misc]
    """Connects again after every error of the event loop.

    It gives no message back through the lost connection. The broker delivers what was not acknowledged again
    after its visibility timeout; a job does not wait for that, because `resume_stalled_jobs` enqueues it.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        lost: tuple[type[BaseException], ...] = self.connection_errors  # type: ignore[has-type]
        self.connection_errors = (*lost, *_ALSO_LOST)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        """Keep the channels from giving messages back, then reconnect as Celery does."""
        with suppress(AttributeError):  # lost so early that there are no channels
            for channel in self.connection.connection.channels:
                channel.do_restore = False
        super().on_connection_error_after_connected(exc)
