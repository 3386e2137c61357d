"""Invalidation messages from the server for every key that changes, on a connection of their own.

This is client tracking (Redis 6 and later) in broadcast mode: the server names each key with one of our
prefixes as it changes, whoever changes it and however. The message about an answered change comes before the
reply to any ping sent later. So each reply to a ping renews a *lease*: copies read under the lease are known
to be right up to the moment when the ping was sent. A lease ends with its connection, and runs out if the
server falls silent.
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
from agent_runtime.manager.transport.connection import take_over
from agent_runtime.manager.transport.error_mapping import CONNECTION_ERRORS
from agent_runtime.manager.transport.primary import check_role, server_error

logger = logging.getLogger("agent_sessions")

#: Pause before another try to connect, doubled for each further try, seconds.
_BACKOFF = ExponentialWithJitterBackoff(cap=5, base=0.05)

#: Pause after the server refused client tracking, seconds. Rights may be given, and servers replaced.
_REFUSED_PAUSE_SECONDS = 60.0

#: Longest pause between two pings, seconds.
_LONGEST_PAUSE_SECONDS = 5.0

_INCOMPLETE = object()

#: Called with each key that changed; with None if all changed, or it is unknown which.
OnChanged = Callable[[bytes | None], None]


class Lease:
    """A time for which copies read under it may be used, unless an invalidation message names their key."""

    def __init__(self) -> None:
        #: End of the lease by the monotonic clock, seconds; 0 once the connection is lost.
        self.valid_until = 0.0


class Tracker:
    """Listens for invalidation messages, and connects again when the connection is lost.

    Args:
        conn: client of the server; only its settings are used.
        prefixes: prefixes of the tracked keys; none may be the beginning of another.
        on_changed: called in the event loop that listens.
        lease_seconds: life of a lease from when its ping was sent.
        timeout_seconds: longest the server may be silent before the connection is dropped.
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
        #: Lease of the current connection; None while there is no connection.
        self.lease: Lease | None = None

    async def run(self) -> None:
        """Listen until cancelled. Return at once if the client is called in threads, without connections."""
        channel = open_channel(self._conn)
        if not isinstance(channel, PoolChannel):
            logger.info("no client tracking: a client of this kind is called in threads")
            return
        failures, was_refused = 0, False
        while True:
            try:
                await self._listen(channel.new_connection())
            except redis.ResponseError as error:
                if not was_refused:
                    logger.warning("no client tracking, so changes by others are noticed later: %s", error)
                was_refused, pause = True, _REFUSED_PAUSE_SECONDS
            except (*CONNECTION_ERRORS, TimeoutError):
                failures = 1 if self.lease else failures + 1
                was_refused, pause = False, _BACKOFF.compute(failures)
            self.lease = None
            await asyncio.sleep(pause)

    async def _listen(self, connection: aredis.Connection) -> None:
        """Listen on one connection, and raise the error that ended it."""
        tracking = _TrackingConnection(self._on_changed)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await tracking.open(connection)
                check_role(await tracking.ask("HELLO", 3))
                named = [word for prefix in self._prefixes for word in (b"PREFIX", prefix)]
                await tracking.ask("CLIENT", "TRACKING", "ON", "BCAST", *named)
            self.lease = tracking.lease
            while True:
                asked_at = time.monotonic()
                async with asyncio.timeout(self._timeout_seconds):
                    check_role(await tracking.ask("HELLO", 3))
                tracking.lease.valid_until = asked_at + self._lease_seconds
                await tracking.pause(min(self._lease_seconds / 3, _LONGEST_PAUSE_SECONDS))
        finally:
            tracking.close(TimeoutError("the connection was dropped"))


class _TrackingConnection(asyncio.Protocol):
    """A connection on which one command is in flight at a time, with invalidation messages in between."""

    def __init__(self, on_changed: OnChanged) -> None:
        self._on_changed = on_changed
        self._reader = hiredis.Reader(
            protocolError=redis.exceptions.InvalidResponse,
            replyError=server_error,
            notEnoughData=_INCOMPLETE,
        )
        self._loop = asyncio.get_running_loop()
        self._reply: asyncio.Future[Any] = self._loop.create_future()
        self._end: Exception | None = None
        self._has_ended = asyncio.Event()
        self._transport: Any = None
        self.lease = Lease()

    async def open(self, connection: aredis.Connection) -> None:
        """Let redis-py make the connection, and take it over."""
        self._stream = await take_over(connection, self)
        self._transport = self._stream.transport

    async def ask(self, *command: Any) -> Any:
        """Return the reply to a command."""
        if self._end is not None:
            raise self._end
        self._reply = self._loop.create_future()
        self._transport.write(pack_command(command))
        return await self._reply

    async def pause(self, seconds: float) -> None:
        """Wait for so long, or until the connection is lost."""
        try:
            async with asyncio.timeout(seconds):
                await self._has_ended.wait()
        except TimeoutError:
            return

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while self._end is None and (reply := self._reader.gets()) is not _INCOMPLETE:
                self._take(reply)
        except redis.exceptions.InvalidResponse as error:
            self.close(redis.ConnectionError(f"unreadable reply: {error!r}"))

    def connection_lost(self, error: Exception | None) -> None:
        self.close(redis.ConnectionError(str(error or "the server closed the connection")))

    def close(self, error: Exception) -> None:
        """End the connection, and its lease in this very tick: changes are missed from now on."""
        if self._end is not None:
            return
        self._end = error
        self.lease.valid_until = 0.0
        if self._transport is not None:
            self._transport.abort()
        self._on_changed(None)
        if not self._reply.done():
            self._reply.set_exception(error)
            self._reply.exception()  # mark it as retrieved: perhaps nobody waits
        self._has_ended.set()

    def _take(self, reply: Any) -> None:
        if isinstance(reply, hiredis.PushNotification):
            if reply[0] == b"invalidate":
                for key in reply[1] or (None,):  # no list of keys: the database was flushed
                    self._on_changed(key)
        elif not self._reply.done():
            if isinstance(reply, Exception):
                self._reply.set_exception(reply)
            else:
                self._reply.set_result(reply)
