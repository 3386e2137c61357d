"""Word from the server of every key that changes, on a connection of its own.

Client tracking (Redis 6 and later) in broadcast mode: the server names each key with one of our prefixes as
it changes, whoever changes it and however. Word of a change that was answered comes before the answer to a
ping sent after that. So each answer to a ping renews a *lease*: what was read under it is known to be right
up to when the ping was sent. A lease ends with its connection, and by itself where the server falls silent.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
import redis
import redis.asyncio as aredis
from hiredis import pack_command
from redis.backoff import ExponentialWithJitterBackoff

from agent_runtime.manager.transport.async_twin import PoolChannel, open_channel
from agent_runtime.manager.transport.connection import server_error, take_over
from agent_runtime.manager.transport.error_mapping import CONNECTION_ERRORS

logger = logging.getLogger("agent_sessions")

#: Pause before another try to connect, doubled for each further one, seconds.
_BACKOFF = ExponentialWithJitterBackoff(cap=5, base=0.05)

#: Pause where the server says that it will not, seconds. Rights may be given, and servers replaced.
_REFUSED_PAUSE_SECONDS = 60.0

#: Longest pause between two pings, seconds.
_LONGEST_PAUSE_SECONDS = 5.0

_NOTHING_YET = object()

#: Told of each key that changed; None: of all of them, or it is not known which.
OnChanged = Callable[[bytes | None], None]


class Lease:
    """For how long what was read under it may be used, as long as nothing is said of it."""

    def __init__(self) -> None:
        #: Monotonic moment, seconds; 0 once the connection is lost.
        self.valid_until = 0.0


class Tracker:
    """Listens, and connects again when the connection is lost.

    Args:
        conn: client of the server; only its settings are used.
        prefixes: of the keys to hear of; none may be the beginning of another.
        on_changed: called in the event loop that listens.
        lease_seconds: for how long a lease counts from when its ping was sent.
        timeout_seconds: longest the server may be silent before the connection is given up.
    """

    def __init__(
        self,
        conn: redis.Redis | aredis.Redis,
        prefixes: Sequence[bytes],
        on_changed: OnChanged,
        *,
        lease_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self._conn = conn
        self._prefixes = prefixes
        self._on_changed = on_changed
        self._lease_seconds = lease_seconds
        self._timeout_seconds = timeout_seconds
        #: That of the connection; None while there is none.
        self.lease: Lease | None = None

    async def run(self) -> None:
        """Listens until it is cancelled, or at once not at all where the client has no connections."""
        channel = open_channel(self._conn)
        if not isinstance(channel, PoolChannel):
            logger.info("no client tracking: this kind of client is called in threads")
            return
        failures, was_refused = 0, False
        while True:
            try:
                await self._listen(channel.new_connection())
            except redis.ResponseError as error:
                if not was_refused:
                    logger.warning("no client tracking, so changes of others are seen later: %s", error)
                was_refused, pause = True, _REFUSED_PAUSE_SECONDS
            except (*CONNECTION_ERRORS, TimeoutError):
                failures = 1 if self.lease else failures + 1
                was_refused, pause = False, _BACKOFF.compute(failures)
            self.lease = None
            await asyncio.sleep(pause)

    async def _listen(self, connection: aredis.Connection) -> None:
        """Returns never; raises what ended the connection."""
        link = _Link(self._on_changed)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await link.open(connection)
                await link.ask("HELLO", 3)
                named = [word for prefix in self._prefixes for word in (b"PREFIX", prefix)]
                await link.ask("CLIENT", "TRACKING", "ON", "BCAST", *named)
            self.lease = link.lease
            while True:
                asked_at = time.monotonic()
                async with asyncio.timeout(self._timeout_seconds):
                    await link.ask("PING")
                link.lease.valid_until = asked_at + self._lease_seconds
                await link.pause(min(self._lease_seconds / 3, _LONGEST_PAUSE_SECONDS))
        finally:
            link.close(TimeoutError("given up"))


class _Link(asyncio.Protocol):
    """One connection, on which one question is asked at a time and word of changes comes in between."""

    def __init__(self, on_changed: OnChanged) -> None:
        self._on_changed = on_changed
        self._reader = hiredis.Reader(
            protocolError=redis.exceptions.InvalidResponse,
            replyError=server_error,
            notEnoughData=_NOTHING_YET,
        )
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Any] = self._loop.create_future()
        self._end: Exception | None = None
        self._has_ended = asyncio.Event()
        self._transport: Any = None
        self.lease = Lease()

    async def open(self, connection: aredis.Connection) -> None:
        """Has the connection made."""
        self._stream = await take_over(connection, self)
        self._transport = self._stream.transport

    async def ask(self, *command: Any) -> Any:
        """The answer to a command."""
        if self._end is not None:
            raise self._end
        self._answer = self._loop.create_future()
        self._transport.write(pack_command(command))
        return await self._answer

    async def pause(self, seconds: float) -> None:
        """Returns after so long, or at once when the connection is lost."""
        try:
            async with asyncio.timeout(seconds):
                await self._has_ended.wait()
        except TimeoutError:
            return

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while self._end is None and (reply := self._reader.gets()) is not _NOTHING_YET:
                self._take(reply)
        except redis.exceptions.InvalidResponse as error:
            self.close(redis.ConnectionError(f"what came is no answer: {error!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        self.close(redis.ConnectionError(str(error or "the server closed the connection")))

    def close(self, error: Exception) -> None:
        """Ends the lease in this very tick: changes are missed from now on."""
        if self._end is not None:
            return
        self._end = error
        self.lease.valid_until = 0.0
        if self._transport is not None:
            self._transport.abort()
        self._on_changed(None)
        if not self._answer.done():
            self._answer.set_exception(error)
            self._answer.exception()  # perhaps nobody waits
        self._has_ended.set()

    def _take(self, reply: Any) -> None:
        if isinstance(reply, hiredis.PushNotification):
            if reply[0] == b"invalidate":
                for key in reply[1] or (None,):  # flushed: no list of keys
                    self._on_changed(key)
        elif not self._answer.done():
            if isinstance(reply, Exception):
                self._answer.set_exception(reply)
            else:
                self._answer.set_result(reply)
