"""The way to the server: scripts called in one tick of the event loop leave as one batch.

A batch is one write and one read on one connection, so a thousand gathered calls cost a few round trips and
a few connections. Redis errors become ours here, and nowhere else.

Time is counted from when a batch is sent, not from when a call is made: of 60,000 creates gathered in one
tick, the last ones waited longer for this process than a server may take to answer. Where the server is
silent, what waited behind the silent batch fails with it, so a call ends within twice the time-out.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import redis
import redis.asyncio as aredis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff

from manager.connection import Channel, Command, open_channel
from manager.errors import StoreOutcomeUnknownError, StoreUnavailableError
from manager.refusals import REFUSED_CREDENTIALS, NotConnectedError, translated
from manager.script_source import Script

#: Most calls and most bytes in one batch, so that no caller waits long for the replies of others.
_MAX_BATCH, _MAX_BATCH_BYTES = 1_024, 4_194_304

#: Most batches on their way at once. A server runs one script at a time; more would only wait there.
_MAX_PARALLEL = 8

#: Pause before a second try, doubled for each further one, seconds.
_BACKOFF_BASE_SECONDS, _BACKOFF_CAP_SECONDS = 0.01, 0.25

_CONNECTION_ERRORS = (redis.ConnectionError, redis.TimeoutError, OSError)


class Store:
    """Scripts on one server, from any event loop.

    Args:
        conn: the caller's client; it is never used for anything but its settings (or, for kinds of client
            without an async twin, from threads).
        timeout_seconds: longest the server may take to answer a batch, retries included.
        connect_retries: extra tries when a connection fails. Every script is safe to repeat.
    """

    def __init__(
        self, conn: redis.Redis | aredis.Redis, *, timeout_seconds: float, connect_retries: int
    ) -> None:
        open_channel(conn)  # a client that cannot be used is refused here, not at the first call
        self._conn = conn
        self._timeout_seconds = timeout_seconds
        self._connect_retries = connect_retries
        #: How long after its first sending a call may reach the server again, milliseconds.
        self.repeated_within_ms = round(2000 * timeout_seconds) + 1000
        self._lanes: dict[asyncio.AbstractEventLoop, _Lane] = {}
        self._lock = threading.Lock()

    async def call(self, script: Script, keys: Sequence[Any], args: Sequence[Any]) -> Any:
        """The script's reply.

        Raises:
            StoreUnavailableError: not applied, no connection could be made.
            StoreRefusedError: the server answered with an error.
            CorruptDataError: what lies in one of the keys cannot be read.
            StoreOutcomeUnknownError: sent, but no answer came back in time.
        """
        lane = self._lanes.get(asyncio.get_running_loop()) or await self._open_lane()
        return await lane.submit(_Call(script, ("EVALSHA", script.sha, len(keys), *keys, *args)))

    async def aclose(self) -> None:
        """Closes the connections of the running event loop. A later call opens new ones."""
        with self._lock:
            lane = self._lanes.pop(asyncio.get_running_loop(), None)
        if lane is not None:
            await lane.aclose()

    async def _open_lane(self) -> "_Lane":
        loop = asyncio.get_running_loop()
        with self._lock:
            # Loops that were closed by hand, so that nobody told their lanes.
            for closed in [other for other in self._lanes if other.is_closed()]:
                del self._lanes[closed]
            lane = self._lanes.get(loop)
            if lane is None:
                retry: Retry = Retry(
                    ExponentialWithJitterBackoff(_BACKOFF_CAP_SECONDS, _BACKOFF_BASE_SECONDS),
                    self._connect_retries,
                    supported_errors=_CONNECTION_ERRORS,  # type: ignore[arg-type]
                )
                lane = _Lane(open_channel(self._conn), retry, self._timeout_seconds, self._forget)
                self._lanes[loop] = lane
        await lane.close_with_loop()
        return lane

    def _forget(self, lane: "_Lane") -> None:
        """A lane keeps its loop alive, so the one must not outlast the other here."""
        with self._lock:
            if self._lanes.get(lane.loop) is lane:
                del self._lanes[lane.loop]


class _Call:
    """One script call, and the caller who waits for it."""

    __slots__ = ("command", "made_at", "reply", "script", "size")

    def __init__(self, script: Script, command: Command) -> None:
        self.script = script
        self.command = command
        self.size = sum(len(part) for part in command if type(part) is bytes)
        self.made_at = time.monotonic()
        self.reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def keys(self) -> Sequence[Any]:
        return self.command[3 : 3 + self.command[2]]

    def answer(self, reply: Any) -> None:
        if self.reply.done():  # the caller was cancelled or stopped waiting
            return
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)


class _Lane:
    """The calls of one event loop, on their way."""

    def __init__(
        self,
        channel: Channel,
        retry: Retry,
        timeout_seconds: float,
        on_close: Callable[["_Lane"], None],
    ) -> None:
        self._channel = channel
        self._retry = retry
        self._width = min(channel.width, _MAX_PARALLEL)
        self._timeout_seconds = timeout_seconds
        self._on_close = on_close
        self.loop = asyncio.get_running_loop()
        self._waiting: deque[_Call] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._due = False
        self._guard: AsyncGenerator[None, None] | None = None

    def submit(self, call: _Call) -> "asyncio.Future[Any]":
        self._waiting.append(call)
        if not self._due:
            self._due = True
            self.loop.call_soon(self._flush)
        return call.reply

    def _flush(self) -> None:
        self._due = False
        while self._waiting and len(self._running) < self._width:
            if calls := self._take_batch():
                task = self.loop.create_task(self._run(calls))
                self._running.add(task)
                task.add_done_callback(self._finished)

    def _take_batch(self) -> list[_Call]:
        calls: list[_Call] = []
        size = 0
        while self._waiting and len(calls) < _MAX_BATCH and size < _MAX_BATCH_BYTES:
            call = self._waiting.popleft()
            if not call.reply.done():  # else its caller was cancelled
                calls.append(call)
                size += call.size
        return calls

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if self._waiting and not self.loop.is_closed():
            self._flush()

    async def _run(self, calls: list[_Call]) -> None:
        trip = _Trip()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                replies = await self._exchange(calls, trip)
        except TimeoutError:
            error_class = StoreOutcomeUnknownError if trip.sent else StoreUnavailableError
            message = f"no answer within {self._timeout_seconds} s"
            replies = [error_class(message) for _ in calls]
            self._give_up_on_waiting()
        except Exception as error:
            replies = [error] * len(calls)
        except BaseException:  # the loop is going down: nobody may wait for ever
            for call in calls:
                call.reply.cancel()
            raise
        for call, reply in zip(calls, replies, strict=True):
            call.answer(translated(reply, call.keys))

    def _give_up_on_waiting(self) -> None:
        """Ends the calls that have waited for as long as the server was silent."""
        since = time.monotonic() - self._timeout_seconds
        while self._waiting and self._waiting[0].made_at <= since:
            error = StoreUnavailableError(
                f"not sent: no answer from the server for {self._timeout_seconds} s"
            )
            self._waiting.popleft().answer(error)

    async def _exchange(self, calls: list[_Call], trip: "_Trip") -> list[Any]:
        """The replies to `calls`; scripts that the server does not know are loaded and called again."""
        replies = await self._attempt([call.command for call in calls], trip)
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]
        if unknown:
            sources = {calls[i].script.source for i in unknown}
            commands: list[Command] = [("SCRIPT", "LOAD", source) for source in sources]
            # Called with their source, for another client may have the server forget them again meanwhile.
            commands += [("EVAL", calls[i].script.source, *calls[i].command[2:]) for i in unknown]
            try:
                again = await self._attempt(commands, trip)
            except Exception as error:  # the other calls have their replies
                again = [error] * len(commands)
            for i, reply in zip(unknown, again[len(sources) :], strict=True):
                replies[i] = reply
        return replies

    async def _attempt(self, commands: list[Command], trip: "_Trip") -> list[Any]:
        async def once() -> list[Any]:
            try:
                connection = await self._channel.connect()
            except REFUSED_CREDENTIALS:
                raise
            except _CONNECTION_ERRORS as error:
                if trip.sent:  # an earlier try may have been applied
                    raise
                raise NotConnectedError(str(error)) from error
            trip.sent = True
            try:
                return await self._channel.run(connection, commands)
            finally:
                await self._channel.release(connection)

        async def failed(error: Exception) -> None:
            """Nothing to mend between two tries: a broken connection is closed already."""

        def is_retryable(error: Exception) -> bool:
            return not isinstance(error, REFUSED_CREDENTIALS)

        return await self._retry.call_with_retry(once, failed, is_retryable)

    async def close_with_loop(self) -> None:
        """Has the connections closed when the event loop shuts down.

        `asyncio.run` closes the async generators that are still open on its loop before it closes the loop
        itself; so one generator, held open for that, lets a manager serve several `asyncio.run` in turn
        without leaving sockets behind.
        """
        if self._guard is None:
            self._guard = self._close_at_end()
            await anext(self._guard)

    async def _close_at_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._on_close(self)
            await self._channel.aclose()

    async def aclose(self) -> None:
        self._flush()  # calls made in this very tick
        while self._running:
            await asyncio.wait(self._running)
        if self._guard is not None:
            await self._guard.aclose()


class _Trip:
    """What is known of a batch that is on its way: whether the server may have seen it."""

    sent = False
