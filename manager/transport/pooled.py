"""The engine that sends calls in batches, each on a connection of a pool or on a client called in threads.

It is for clients whose connections cannot be taken over.
"""

import asyncio
from typing import Any

import redis
from redis.backoff import AbstractBackoff

from agent_runtime.manager.transport.async_twin import Channel, Command
from agent_runtime.manager.transport.auto_pipeline import AutoPipeline
from agent_runtime.manager.transport.call import Call
from agent_runtime.manager.transport.error_mapping import (
    CONNECTION_ERRORS,
    REFUSED_CREDENTIALS,
    NotConnectedError,
    translated,
)
from agent_runtime.manager.transport.primary import NotPrimaryError, as_not_primary

#: Most calls and most bytes in one batch, so that no caller waits long for the replies of others.
_MAX_BATCH, _MAX_BATCH_BYTES = 1_024, 4_194_304

#: Most batches in flight. A server runs one script at a time, so more would only wait there.
_MAX_PARALLEL = 8


class PooledPipeline(AutoPipeline):
    """The calls of one event loop, in batches. The calls of one tick are a batch: one write and one read.

    Args:
        channel: runs a batch.
        backoff, retries, timeout_seconds: as in `AutoPipeline`.
    """

    def __init__(
        self, channel: Channel, backoff: AbstractBackoff, retries: int, timeout_seconds: float
    ) -> None:
        super().__init__(backoff, retries, timeout_seconds)
        self._channel = channel
        self._width = min(channel.width, _MAX_PARALLEL)
        self._running: set[asyncio.Task[None]] = set()

    async def drain(self) -> None:
        self._flush()
        while self._running:
            await asyncio.wait(self._running)

    async def aclose(self) -> None:
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
        """Send a batch, then its unanswered calls again, until each call has its answer."""
        due_at = min(map(self._take_up, calls))
        left, with_source = calls, False
        try:
            async with asyncio.timeout_at(due_at):
                while left:
                    left, with_source = await self._try(left, with_source=with_source)
        except TimeoutError:
            for call in calls:
                self._end_late(call)
            self._give_up_on_waiting()
        except BaseException:  # the loop is going down: nobody may wait for ever
            for call in calls:
                call.reply.cancel()
            raise

    async def _try(self, calls: list[Call], *, with_source: bool) -> tuple[list[Call], bool]:
        """Send calls once. Return those to send again, and whether to send them with their source."""
        try:
            replies = await self._exchange(calls, with_source=with_source)
        except Exception as error:
            if isinstance(error, CONNECTION_ERRORS) and not isinstance(error, REFUSED_CREDENTIALS):
                return await self._left_after(error, calls), with_source
            replies = [error] * len(calls)
        unknown: list[Call] = []
        refused: list[Call] = []
        for call, reply in zip(calls, replies, strict=True):
            if isinstance(reply, redis.exceptions.NoScriptError):
                unknown.append(call)
            elif refusal := as_not_primary(reply):
                call.note_refusal(refusal)
                refused.append(call)
            else:
                call.answer(translated(reply, call))
        left = await self._left_after(NotPrimaryError(), refused)
        return [*unknown, *left], with_source or bool(unknown)

    async def _left_after(self, error: Exception, calls: list[Call]) -> list[Call]:
        """Wait before the next try, and return the calls that have tries and time left for it."""
        left = [call for call in calls if not self._is_over(call, error)]
        if left:
            await asyncio.sleep(self._backoff.compute(left[0].failures + left[0].refusals))
        return left

    async def _exchange(self, calls: list[Call], *, with_source: bool) -> list[Any]:
        """Return the replies to calls, sent on one connection."""
        loads: list[Command] = []
        if with_source:
            loads = [("SCRIPT", "LOAD", source) for source in {call.script.source for call in calls}]
        commands = [*loads, *(call.with_source() if with_source else call.command for call in calls)]
        try:
            connection = await self._channel.connect()
        except REFUSED_CREDENTIALS:
            raise
        except CONNECTION_ERRORS as error:
            raise NotConnectedError(str(error)) from error
        for call in calls:
            call.sent = True
        broken = True
        try:
            replies = (await self._channel.run(connection, commands))[len(loads) :]
            broken = any(map(as_not_primary, replies))
            return replies
        except (redis.BusyLoadingError, NotPrimaryError) as error:
            for call in calls:  # this try was not applied, but perhaps an earlier one
                call.note_refusal(error)
            raise
        except CONNECTION_ERRORS:
            for call in calls:
                call.uncertain = True
            raise
        finally:
            await self._channel.release(connection, broken=broken)
