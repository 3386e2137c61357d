"""What a forked child makes anew, because it must not share it with its parent.

A child begins with a copy of its parent's memory: the same names for new chunks, the same sockets, and locks
held by threads that the child does not have. Whatever keeps such a thing registers here.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any
from weakref import WeakMethod, WeakSet

_renewals: list[WeakMethod[Callable[[], None]]] = []
_streams: WeakSet[asyncio.StreamWriter] = WeakSet()

#: What a child keeps of its parent. To collect it would run clean-ups that are the parent's: asyncio, for
#: example, would take a socket out of the `epoll` that both processes share, and the parent would go deaf.
_inherited: list[Any] = []


def renew_in_child(renew: Callable[[], None]) -> None:
    """Call a bound method in each child forked from now on, for as long as its object is there.

    The method sets all that must differ between the processes. It takes no lock that was there before the
    fork: perhaps nobody is left to open it.
    """
    _renewals[:] = [each for each in _renewals if each() is not None]
    _renewals.append(WeakMethod(renew))


def leave_to_parent(inherited: Any) -> None:
    """Keep in the child, uncollected, what belongs to the parent."""
    _inherited.append(inherited)


def leave_stream_to_parent(stream: asyncio.StreamWriter) -> None:
    """Take the socket of a stream from each child forked from now on."""
    _streams.add(stream)


def _take_sockets() -> None:
    """Turn each inherited descriptor into one of `/dev/null`.

    So nothing that the child does reaches the parent's server. The descriptor's number stays taken, so that
    no clean-up meets a new socket of the child under it.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for stream in _streams:
        socket = stream.get_extra_info("socket")
        if socket is not None and socket.fileno() >= 0:
            os.dup2(null, socket.fileno(), inheritable=False)
    os.close(null)
    leave_to_parent([*_streams])
    _streams.clear()


def _renew() -> None:
    _take_sockets()
    for each in list(_renewals):
        if (renew := each()) is not None:
            renew()


os.register_at_fork(after_in_child=_renew)
