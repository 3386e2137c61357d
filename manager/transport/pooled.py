"""Calls in batches, each on a connection of a pool, or on a client that is called in threads.

The plain way, for clients whose connections cannot be taken over, and where a pool is wanted.
"""

import asyncio
from collections import deque
from typing import Any

import redis
from redis.asyncio.retry import Retry

from agent_runtime.manager.transport.async_twin import Channel, Command
from agent_runtime.manager.transport.call import Call
from agent_runtime.manager.transport.error_mapping import (
    CONNECTION_ERRORS,
    REFUSED_CREDENTIALS,
    NotConnectedError,
    no_answer,
    not_sent,
    translated,
)

#: Most calls and most bytes in one batch, so that no caller waits long for the replies of others.
_MAX_BATCH, _MAX_BATCH_BYTES = 1_024, 4_194_304

#: Most batches on their way at once. A server runs one script at a time; more would only wait there.
_MAX_PARALLEL = 8


class PooledConnections:
    """The calls of one event loop. Those of one tick are a batch: one write and one read.

    Args:
        channel: what runs a batch.
        retry: tries a batch again when its connection fails.
        timeout_seconds: longest the server may take to answer a batch, retries included.
    """

    def __init__(self, channel: Channel, retry: Retry, timeout_seconds: float) -> None:
        self._channel = channel
        self._retry = retry
        self._width = min(channel.width, _MAX_PARALLEL)
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Call] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._flush_is_due = False

    def submit(self, call: Call) -> "asyncio.Future[Any]":
        """Sends the call together with all others of this tick; its reply, or an error of ours."""
        self._waiting.append(call)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        return call.reply

    async def drain(self) -> None:
        """Waits until every call made so far has its answer."""
        self._flush()
        while self._running:
            await asyncio.wait(self._running)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._channel.aclose()

    def _flush(self) -> None:
        self._flush_is_due = False
        while self._waiting and len(self._running) < self._width:
            if calls := self._take_batch():
                task = self._loop.create_task(self._run(calls))
                self._running.add(task)
                task.add_done_callback(self._finished)

    def _take_batch(self) -> list[Call]:
        calls: list[Call] = []
        size = 0
        while self._waiting and len(calls) < _MAX_BATCH and size < _MAX_BATCH_BYTES:
            call = self._waiting.popleft()
            if not call.reply.done():  # else its caller was cancelled
                calls.append(call)
                size += sum(len(part) for part in call.command if type(part) is bytes)
        return calls

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        if self._waiting and not self._loop.is_closed():
            self._flush()

    async def _run(self, calls: list[Call]) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                replies = await self._exchange(calls)
        except TimeoutError:
            replies = [no_answer(self._timeout_seconds, sent=call.sent) for call in calls]
            self._give_up_on_waiting()
        except Exception as error:
            replies = [error] * len(calls)
        except BaseException:  # the loop is going down: nobody may wait for ever
            for call in calls:
                call.reply.cancel()
            raise
        for call, reply in zip(calls, replies, strict=True):
            call.answer(translated(reply, call))

    def _give_up_on_waiting(self) -> None:
        """Ends the calls that have waited for as long as the server was silent."""
        since = self._loop.time() - self._timeout_seconds
        while self._waiting and self._waiting[0].made_at <= since:
            self._waiting.popleft().answer(not_sent(self._timeout_seconds))

    async def _exchange(self, calls: list[Call]) -> list[Any]:
        """The replies to `calls`; scripts that the server does not know are loaded and called again."""
        replies = await self._attempt([call.command for call in calls], calls)
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]
        if unknown:
            sources = {calls[i].script.source for i in unknown}
            commands: list[Command] = [("SCRIPT", "LOAD", source) for source in sources]
            commands += [calls[i].with_source() for i in unknown]
            try:
                again = await self._attempt(commands, calls)
            except Exception as error:  # the other calls have their replies
                again = [error] * len(commands)
            for i, reply in zip(unknown, again[len(sources) :], strict=True):
                replies[i] = reply
        return replies

    async def _attempt(self, commands: list[Command], calls: list[Call]) -> list[Any]:
        async def once() -> list[Any]:
            try:
                connection = await self._channel.connect()
            except REFUSED_CREDENTIALS:
                raise
            except CONNECTION_ERRORS as error:
                if calls[0].sent:  # an earlier try may have been applied
                    raise
                raise NotConnectedError(str(error)) from error
            for call in calls:
                call.sent = True
            try:
                return await self._channel.run(connection, commands)
            except CONNECTION_ERRORS as error:
                _note_uncertain(calls, error)
                raise
            finally:
                await self._channel.release(connection)

        async def failed(error: Exception) -> None:
            """Nothing to mend between two tries: a broken connection is closed already."""

        def is_retryable(error: Exception) -> bool:
            return not isinstance(error, REFUSED_CREDENTIALS)

        return await self._retry.call_with_retry(once, failed, is_retryable)


def _note_uncertain(calls: list[Call], error: Exception) -> None:
    """That what was sent may have been applied, unless the server said that it is only loading its data."""
    for call in calls:
        call.uncertain = call.uncertain or not isinstance(error, redis.BusyLoadingError)
