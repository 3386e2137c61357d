"""One connection that carries many calls at a time.

Calls are written one behind the other. Replies come in the same order, and are matched to calls by it.
redis-py makes the connection (address, TLS, credentials, database); from then on this module reads and writes
its bytes.
"""

import asyncio
import select
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import redis
import redis.asyncio as aredis
from hiredis import pack_command

from agent_runtime.manager.after_fork import leave_stream_to_parent
from agent_runtime.manager.transport.async_twin import Command
from agent_runtime.manager.transport.call import Call
from agent_runtime.manager.transport.error_mapping import translated
from agent_runtime.manager.transport.primary import (
    ROLE_CHECK_SECONDS,
    NotPrimaryError,
    ReplicaError,
    check_role,
    server_error,
)

#: Most calls in flight. Further calls wait unsent, so that a silent server does not make them uncertain.
_MOST_UNANSWERED = 4_096

#: Most bytes written at a time, and most that may wait in the socket's buffer before further calls wait
#: unsent.
_PORTION_BYTES = 1_048_576

#: Longest pause between two reads of a server that is still replying, seconds.
_PAUSE_SECONDS = 0.1

_HELLO = pack_command(("HELLO",))

_INCOMPLETE = object()


def _ignore(reply: Any) -> None:
    """Take the reply to a command that needs none."""


async def take_over(connection: aredis.Connection, protocol: asyncio.Protocol) -> asyncio.StreamWriter:
    """Let redis-py make the connection, then hand its bytes to `protocol`.

    Keep the returned stream for as long as the connection is used.
    """
    try:
        await connection.connect()  # type: ignore[no-untyped-call]
    except BaseException:  # cancelled in the handshake, the connection would stay open
        await connection.disconnect(nowait=True)
        raise
    # redis-py has no public way to give a connection away. Without its streams, it counts the connection
    # closed.
    stream, connection._writer, connection._reader = connection._writer, None, None
    leave_stream_to_parent(stream)  # type: ignore[arg-type]
    transport: Any = stream.transport  # type: ignore[union-attr]
    if transport.is_closing():
        raise redis.ConnectionError("the server closed the connection")
    transport.set_protocol(protocol)
    return stream  # type: ignore[return-value]


class Connection(asyncio.Protocol):
    """A connection with many calls in flight.

    Args:
        timeout_seconds: longest a call may take from when it is first sent.
        on_room: called when more calls may be sent.
        on_lost: called once, when the connection is lost, with the calls that were in flight, and with those
            that the server has certainly not applied.
    """

    def __init__(
        self,
        timeout_seconds: float,
        on_room: Callable[[], None],
        on_lost: Callable[["Connection", list[Call], list[Call], Exception], None],
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._on_room = on_room
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(
            protocolError=redis.exceptions.InvalidResponse,
            replyError=server_error,
            notEnoughData=_INCOMPLETE,
        )
        #: Calls in flight, in the order they were sent; for a command of the connection's own, the function
        #: that takes its reply.
        self._unanswered: deque[Call | Callable[[Any], None]] = deque()
        self._check_role_at = 0.0
        self._writable = True
        self._is_lost = False
        self._has_answered = False
        self._last_read_at = 0.0
        self._silence_timer: asyncio.TimerHandle | None = None
        self._closed = self._loop.create_future()

    async def connect(self, connection: aredis.Connection) -> None:
        """Let redis-py make the connection, and take it over."""
        self._stream = await take_over(connection, self)
        self._transport: Any = self._stream.transport
        self._transport.set_write_buffer_limits(_PORTION_BYTES)
        self._poll = select.poll()
        self._poll.register(self._transport.get_extra_info("socket"), select.POLLIN)

    @property
    def is_idle(self) -> bool:
        """Return True if no call is in flight."""
        return not self._unanswered

    @property
    def unanswered(self) -> list[Call]:
        """Return the calls in flight."""
        return [call for call in self._unanswered if isinstance(call, Call)]

    def drop_if_closed(self) -> None:
        """Drop the connection if the server closed it while idle, and the event loop has not noticed yet.

        A call sent on the closed connection would have an unknown outcome. A call that waits for a new
        connection was certainly not applied.
        """
        if self._has_answered and not self._unanswered and self._poll.poll(0):
            self._lose(redis.ConnectionError("the server closed the connection"))

    def send(self, waiting: deque[Call]) -> None:
        """Send calls from `waiting`, as many as there is room for."""
        while waiting and self._writable and len(self._unanswered) < _MOST_UNANSWERED:
            self._send_portion(waiting)
        if self._silence_timer is None and self._unanswered:
            self._silence_timer = self._loop.call_later(self._timeout_seconds, self._check_for_silence)

    def _send_portion(self, waiting: deque[Call]) -> None:
        now = self._loop.time()
        due_at = now + self._timeout_seconds
        size, packed = 0, []
        if now >= self._check_role_at:  # before the calls, so that none is answered by a demoted primary
            self._check_role_at = now + ROLE_CHECK_SECONDS
            self._unanswered.append(check_role)
            packed.append(_HELLO)
        while waiting and size < _PORTION_BYTES and len(self._unanswered) < _MOST_UNANSWERED:
            call = waiting.popleft()
            if call.reply.done():  # its caller was cancelled
                continue
            if call.due_at is None:
                call.due_at = due_at
            call.sent = True
            self._unanswered.append(call)
            command = pack_command(call.command)
            packed.append(command)
            size += len(command)
        if size:
            self._transport.write(b"".join(packed))

    def _send_with_source(self, calls: list[Call]) -> None:
        sources = {call.script.source for call in calls}
        self._unanswered.extend(_ignore for _ in sources)
        self._unanswered.extend(calls)
        commands: list[Command] = [("SCRIPT", "LOAD", source) for source in sources]
        commands += [call.with_source() for call in calls]
        self._transport.write(b"".join(map(pack_command, commands)))

    def data_received(self, data: bytes) -> None:
        reader, unanswered = self._reader, self._unanswered
        unknown: list[Call] = []
        refused: list[Call] = []
        self._has_answered = True
        self._last_read_at = self._loop.time()
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not _INCOMPLETE:
                call = unanswered.popleft()
                if not isinstance(call, Call):
                    call(reply)
                elif not isinstance(reply, Exception):
                    call.answer(reply)
                elif isinstance(reply, redis.exceptions.NoScriptError):
                    unknown.append(call)
                elif isinstance(reply, NotPrimaryError | redis.BusyLoadingError):
                    refused.append(call)
                    raise reply
                else:
                    call.answer(translated(reply, call))
        except (NotPrimaryError, redis.BusyLoadingError) as error:
            if isinstance(error, ReplicaError):  # the replica refuses all later calls too
                refused += self.unanswered
                self._unanswered.clear()
            self._lose(error, [*unknown, *refused])
            return
        except (redis.exceptions.InvalidResponse, IndexError) as error:
            self._lose(redis.ConnectionError(f"unreadable reply: {error!r}"), unknown)
            return
        if unknown:
            self._send_with_source(unknown)
        self._on_room()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._on_room()

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(error or redis.ConnectionError("the server closed the connection"))
        if not self._closed.done():
            self._closed.set_result(None)

    def _check_for_silence(self) -> None:
        """Drop the connection if its oldest call is overdue; otherwise check again when it would be."""
        self._silence_timer = None
        calls = self.unanswered
        if not calls:
            return
        overdue_at = min(call.due_at or 0.0 for call in calls)
        now = self._loop.time()
        if overdue_at > now:
            self._silence_timer = self._loop.call_at(overdue_at, self._check_for_silence)
        elif now - self._last_read_at < _PAUSE_SECONDS or self._poll.poll(0):
            # This process was busy, not the server: replies came in time, and are being read.
            self._silence_timer = self._loop.call_at(now + _PAUSE_SECONDS / 10, self._check_for_silence)
        else:
            self._lose(redis.TimeoutError("no reply in time"))

    def _lose(self, error: Exception, refused: Sequence[Call] = ()) -> None:
        """End the connection, and hand back the calls in flight and those that the server did not apply."""
        if self._is_lost:
            return
        self._is_lost = True
        if self._silence_timer is not None:
            self._silence_timer.cancel()
            self._silence_timer = None
        self._writable = False
        if not self._transport.is_closing():
            self._transport.abort()
        lost, self._unanswered = self.unanswered, deque()
        self._on_lost(self, lost, list(refused), error)

    async def aclose(self) -> None:
        """Close the connection, and return when its socket is closed."""
        if not self._transport.is_closing():
            self._transport.abort()
        await self._closed
