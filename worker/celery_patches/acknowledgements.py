"""Acknowledgements of messages, when a reply of the broker is lost."""

from kombu.transport.redis import Channel, QoS
from kombu.transport.virtual import QoS as Held


class SteadyQoS(QoS):
    """Counts the messages that a worker holds, and forgets each once the worker is done with it.

    With kombu 5.7.0, a message whose acknowledgement failed (one lost reply is enough) counted as held for
    good. Once there were as many of those as a worker may hold, it took no other, though it answered pings
    and looked well in Flower. What the broker has not heard of, it hands out again, as ever.
    """

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        finally:
            Held.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue=requeue)  # type: ignore[no-untyped-call]
        finally:
            Held.ack(self, delivery_tag)  # type: ignore[no-untyped-call]


def install() -> None:
    """Has all channels to a broker on Redis count in this way."""
    Channel.QoS = SteadyQoS
