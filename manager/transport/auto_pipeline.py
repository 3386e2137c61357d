"""Automatic pipelining: the calls that an event loop makes in one tick leave together.

There are two engines. `MultiplexedPipeline` keeps all calls on one connection. `PooledPipeline` sends them in
batches over a pool of connections, or over a client that is called in threads. Both inherit from
`AutoPipeline` how long a call may take, and how often it is tried.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Any

import redis
from redis.backoff import AbstractBackoff

from agent_runtime.manager.transport.call import Call
from agent_runtime.manager.transport.error_mapping import no_answer, not_sent, translated
from agent_runtime.manager.transport.primary import NotPrimaryError


class AutoPipeline(ABC):
    """The calls of one event loop.

    Args:
        backoff: pause before another try, by the number of failures.
        retries: extra tries of a call whose connection fails.
        timeout_seconds: longest a call may take from when an engine takes it up, all its tries together.
    """

    def __init__(self, backoff: AbstractBackoff, retries: int, timeout_seconds: float) -> None:
        self._backoff = backoff
        self._retries = retries
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        #: Calls that are not sent yet, or will be sent again, in their order.
        self._waiting: deque[Call] = deque()
        self._flush_is_due = False

    def submit(self, call: Call) -> "asyncio.Future[Any]":
        """Send a call together with the others of this tick. Return its reply, or an error of ours."""
        self._waiting.append(call)
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        return call.reply

    @abstractmethod
    async def drain(self) -> None:
        """Wait until every call made so far has its answer."""

    @abstractmethod
    async def aclose(self) -> None:
        """Close the connections."""

    @abstractmethod
    def _flush(self) -> None:
        """Send waiting calls, as many as there is room for."""

    def _take_up(self, call: Call) -> float:
        """Start the call's time if it has not started. Return when the time ends, by the loop's clock."""
        if call.due_at is None:
            call.due_at = self._loop.time() + self._timeout_seconds
        return call.due_at

    def _give_up_on_waiting(self) -> None:
        """End the calls that have waited for as long as the server was silent."""
        since = self._loop.time() - self._timeout_seconds
        for call in self._waiting:
            if call.due_at is None and call.made_at <= since:
                call.answer(not_sent(self._timeout_seconds))

    def _is_over(self, call: Call, error: Exception) -> bool:
        """Count a failed connection against a call that was taken up, and end the call if no time or no tries
        are left. Return True if the call has ended.

        A server that is not the primary costs no try: a fail-over takes as long as it takes.
        """
        if call.reply.done() or call.due_at is None:
            return call.reply.done()
        is_refusal = isinstance(error, NotPrimaryError)
        call.refusals += is_refusal
        call.failures += not is_refusal
        if call.due_at <= self._loop.time():
            self._end_late(call)
        elif call.failures > self._retries:
            # If an earlier try was sent, the call may have been applied.
            call.answer(translated(redis.ConnectionError(str(error)) if call.sent else error))
        return call.reply.done()

    def _end_late(self, call: Call) -> None:
        """End a call whose time is over, with the server's refusal if there was one."""
        if call.refusal is None:
            call.answer(no_answer(self._timeout_seconds, sent=call.sent))
        else:
            call.answer(translated(call.refusal, call))
