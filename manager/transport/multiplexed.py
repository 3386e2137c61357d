"""All calls of an event loop on one connection, made when it is needed, and again when it breaks.

A call costs a future and a place in a queue: no checkout of a connection, no task, no lock.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import redis
import redis.asyncio as aredis
from redis.backoff import AbstractBackoff

from agent_runtime.manager.transport.auto_pipeline import AutoPipeline
from agent_runtime.manager.transport.call import Call
from agent_runtime.manager.transport.connection import Connection
from agent_runtime.manager.transport.error_mapping import (
    CONNECTION_ERRORS,
    REFUSED_CREDENTIALS,
    NotConnectedError,
    translated,
)

#: So many calls are sent without waiting for more: the server works on them while others are made ready. Of a
#: hundred gathered calls that made 1.1 to 1.3 times as many a second as all at once (8: no more, 4: fewer).
_PORTION = 16


class MultiplexedPipeline(AutoPipeline):
    """The calls of one event loop, on one connection.

    Args:
        new_connection: makes a connection of redis-py, which is not connected yet.
        backoff, retries, timeout_seconds: as in `AutoPipeline`.
    """

    def __init__(
        self,
        new_connection: Callable[[], aredis.Connection],
        backoff: AbstractBackoff,
        retries: int,
        timeout_seconds: float,
    ) -> None:
        super().__init__(backoff, retries, timeout_seconds)
        self._new_connection = new_connection
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None

    def submit(self, call: Call) -> "asyncio.Future[Any]":
        """Sends the call: alone if nothing is on its way, else with others of this tick. Its reply, or an
        error of ours.
        """
        self._waiting.append(call)
        if self._connection is not None and (self._connection.is_idle or len(self._waiting) >= _PORTION):
            self._flush()
        elif not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        return call.reply

    async def drain(self) -> None:
        """Waits until every call made so far has its answer."""
        while replies := self._unanswered():
            await asyncio.wait(replies)

    async def aclose(self) -> None:
        """Closes the connection."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._connection is not None:
            await self._connection.aclose()

    def _unanswered(self) -> list["asyncio.Future[Any]"]:
        calls = [*self._waiting, *(self._connection.unanswered if self._connection else ())]
        return [call.reply for call in calls if not call.reply.done()]

    def _flush(self) -> None:
        self._flush_is_due = False
        if not self._waiting:
            return
        if self._connection is not None:
            self._connection.drop_if_closed()
        if self._connection is not None:
            self._connection.send(self._waiting)
        elif self._connecting is None and not self._loop.is_closed():
            self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            while self._waiting and self._connection is None:
                await self._try_to_connect()
        except BaseException:  # the loop is going down: nobody may wait for ever
            while self._waiting:
                self._waiting.popleft().reply.cancel()
            raise
        finally:
            self._connecting = None
        self._flush()

    async def _try_to_connect(self) -> None:
        """One try, on behalf of the calls that wait when it begins."""
        due_at = min(map(self._take_up, self._waiting))
        connection = Connection(self._timeout_seconds, self._flush, self._lost)
        try:
            async with asyncio.timeout_at(due_at):
                if failures := self._waiting[0].failures:
                    await asyncio.sleep(self._backoff.compute(failures))
                await connection.connect(self._new_connection())
        except REFUSED_CREDENTIALS as error:
            self._fail_all_taken_up(error)
        except CONNECTION_ERRORS as error:
            failure = NotConnectedError(str(error))
            failure.__cause__ = error
            self._keep_waiting(list(self._waiting), failure)
        except Exception as error:  # such as a database that the server has not
            self._fail_all_taken_up(error)
        else:
            self._connection = connection

    def _fail_all_taken_up(self, error: Exception) -> None:
        calls, self._waiting = self._waiting, deque()
        for call in calls:
            if call.due_at is None:
                self._waiting.append(call)
            else:
                call.answer(translated(error))

    def _lost(self, connection: Connection, unanswered: list[Call], error: Exception) -> None:
        """The connection is gone. What had no answer is sent again on the next one, or fails."""
        if self._connection is connection:
            self._connection = None
        for call in unanswered:
            call.uncertain = True
        if isinstance(error, redis.TimeoutError):
            self._give_up_on_waiting()
        self._keep_waiting([*unanswered, *self._waiting], error)
        self._flush()

    def _keep_waiting(self, calls: list[Call], error: Exception) -> None:
        """Of these calls, those with tries and time left wait for the next connection."""
        self._waiting = deque(call for call in calls if not self._is_over(call, error))
