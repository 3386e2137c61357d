"""The client through which the manager calls scripts, from any event loop.

Each event loop has an `AutoPipeline`, which sends calls made at once together, sends calls again if their
connection breaks, and ends every call in time. So a thousand gathered calls cost a few writes and reads.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any

import redis
import redis.asyncio as aredis
from redis.backoff import ExponentialWithJitterBackoff

from agent_runtime.manager.after_fork import leave_to_parent, renew_in_child
from agent_runtime.manager.errors import StoreUnavailableError
from agent_runtime.manager.transport.async_twin import PoolChannel, open_channel
from agent_runtime.manager.transport.auto_pipeline import AutoPipeline
from agent_runtime.manager.transport.call import Call
from agent_runtime.manager.transport.multiplexed import MultiplexedPipeline
from agent_runtime.manager.transport.pooled import PooledPipeline
from agent_runtime.manager.transport.script import Script

#: Pause before a second try, doubled for each further one, seconds.
_BACKOFF_BASE_SECONDS, _BACKOFF_CAP_SECONDS = 0.01, 0.25


_FORKED_UNNOTICED = (
    "this process was forked after the manager was first used, and without Python's fork hooks. It would"
    " share connections and names of chunks with its parent. Let the program that forks run the hooks (uWSGI:"
    " py-call-osafterfork), or use the manager only after the fork"
)


#: Makes calls of its own, through the function that it is given.
FirstCall = Callable[[Callable[[Script, Sequence[Any], Sequence[Any]], Awaitable[Any]]], Awaitable[None]]


def _call_of(
    script: Script, keys: Sequence[Any], args: Sequence[Any], loop: asyncio.AbstractEventLoop
) -> Call:
    return Call(script, ("EVALSHA", script.sha, len(keys), *keys, *args), loop)


class ScriptClient:
    """Calls scripts on one server, from any event loop.

    Args:
        conn: the caller's client. Only its settings are used; a client of a kind without an async twin is
            called in threads.
        timeout_seconds: longest the server may take to answer a call, retries included. The time is counted
            from when the call is taken up. If the server is silent, calls waiting behind the silent ones fail
            with them, so a call ends within twice this time.
        connect_retries: extra tries when a connection fails. Every script is safe to repeat.
    """

    def __init__(
        self,
        conn: redis.Redis | aredis.Redis,
        *,
        timeout_seconds: float,
        connect_retries: int,
    ) -> None:
        open_channel(conn)  # refuse an unusable client here, not at the first call
        self._conn = conn
        self._timeout_seconds = timeout_seconds
        self._connect_retries = connect_retries
        #: How long after its first sending a call may reach the server again, milliseconds.
        self.repeated_within_ms = round(2000 * timeout_seconds) + 1000
        self._first: FirstCall | None = None
        self._begin()
        renew_in_child(self._renew)

    def _begin(self) -> None:
        self._pipelines: dict[asyncio.AbstractEventLoop, AutoPipeline] = {}
        self._guards: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}
        self._lock = threading.Lock()
        self._process: int | None = None

    def _renew(self) -> None:
        leave_to_parent((self._pipelines, self._guards))
        self._begin()

    def call(self, script: Script, keys: Sequence[Any], args: Sequence[Any]) -> Awaitable[Any]:
        """Call a script at once, and return an awaitable of its reply.

        Raises (when awaited):
            StoreUnavailableError: no connection could be made, so the call was not applied.
            StoreRefusedError: the server answered with an error.
            StoreOutcomeUnknownError: the call was sent, but no reply came back in time.
        """
        loop = asyncio.get_running_loop()
        call = _call_of(script, keys, args, loop)
        pipeline = self._pipelines.get(loop)
        if pipeline is None or self._first is not None:
            return self._call_first(call, loop)
        return pipeline.submit(call)

    def before_first_call(self, first: FirstCall) -> None:
        """Await `first` before the first call of a process, and again before the next call if it fails."""
        self._first = first

    async def aclose(self) -> None:
        """Close the connections of the running event loop. A later call opens new ones."""
        loop = asyncio.get_running_loop()
        with self._lock:
            pipeline, guard = self._pipelines.pop(loop, None), self._guards.pop(loop, None)
        if pipeline is not None:
            await pipeline.drain()
        if guard is not None:
            await guard.aclose()

    async def _call_first(self, call: Call, loop: asyncio.AbstractEventLoop) -> Any:
        pipeline = await self._open_pipeline(loop)
        if self._first is not None:  # of calls made at once, each awaits it: together they are one round trip
            await self._first(lambda script, keys, args: pipeline.submit(_call_of(script, keys, args, loop)))
            self._first = None
        return await pipeline.submit(call)

    async def _open_pipeline(self, loop: asyncio.AbstractEventLoop) -> AutoPipeline:
        self._process = self._process or os.getpid()
        if self._process != os.getpid():
            raise StoreUnavailableError(_FORKED_UNNOTICED)
        with self._lock:
            # A loop that was closed without shutting down its async generators did not close its pipeline.
            for closed in [other for other in self._pipelines if other.is_closed()]:
                del self._pipelines[closed], self._guards[closed]
            pipeline = self._pipelines.get(loop)
            if pipeline is not None:
                return pipeline
            pipeline = self._pipelines[loop] = self._new_pipeline()
            guard = self._guards[loop] = self._close_with_loop(loop, pipeline)
        await anext(guard)
        return pipeline

    def _new_pipeline(self) -> AutoPipeline:
        channel = open_channel(self._conn)
        backoff = ExponentialWithJitterBackoff(_BACKOFF_CAP_SECONDS, _BACKOFF_BASE_SECONDS)
        if isinstance(channel, PoolChannel) and channel.is_plain:
            return MultiplexedPipeline(
                channel.new_connection, backoff, self._connect_retries, self._timeout_seconds
            )
        return PooledPipeline(channel, backoff, self._connect_retries, self._timeout_seconds)

    async def _close_with_loop(
        self, loop: asyncio.AbstractEventLoop, pipeline: AutoPipeline
    ) -> AsyncGenerator[None]:
        """Close the pipeline when the event loop shuts down.

        `asyncio.run` closes the async generators that are still open on its loop before it closes the loop.
        So this generator, held open, lets one manager serve several `asyncio.run` in turn without leaving
        sockets behind.
        """
        try:
            yield
        finally:
            # A pipeline keeps its loop alive, so it must not stay in the dictionary.
            with self._lock:
                if self._pipelines.get(loop) is pipeline:
                    del self._pipelines[loop], self._guards[loop]
            await pipeline.aclose()
