"""Release a message's place in the prefetch window even if the reply to its acknowledgement is lost.

kombu removes a message from the set that it counts against the prefetch limit only after the broker has
replied. One lost reply keeps the message in that set for good. After as many losses as a worker may prefetch,
the worker takes no message any more, though it still answers pings and looks healthy in Flower. Releasing the
message is safe: the broker delivers again what it has not been told of.

Upstream: not reported upstream as of 2026-11 (celery/celery#8030 and celery/celery#8091 show the same symptom
    after a reconnection).
Seen with: kombu 5.7.0
Remove when: kombu > 5.7 releases the message in `QoS.ack` and `QoS.reject` if the broker's reply is lost.
"""

from kombu.transport.redis import Channel, QoS
from kombu.transport.virtual import QoS as VirtualQoS


class ReleasingQoS(QoS):
    """Counts a message as held only until the worker is done with it."""

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        finally:
            VirtualQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]
        finally:
            VirtualQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]


def install() -> None:
    """Have all channels to a broker on Redis count this way."""
    Channel.QoS = ReleasingQoS
