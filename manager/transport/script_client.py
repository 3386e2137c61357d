"""The way to the server: calls of scripts, from any event loop.

Each event loop has a *connection*, which sends calls made at once together, tries again what a broken
connection has cut off, and ends every call in time. So a thousand gathered calls cost a few writes and reads.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import Any

import redis
import redis.asyncio as aredis
from redis.backoff import ExponentialWithJitterBackoff

from agent_runtime.manager.transport.async_twin import PoolChannel, open_channel
from agent_runtime.manager.transport.auto_pipeline import AutoPipeline
from agent_runtime.manager.transport.call import Call
from agent_runtime.manager.transport.multiplexed import MultiplexedPipeline
from agent_runtime.manager.transport.pooled import PooledPipeline
from agent_runtime.manager.transport.script import Script

#: Pause before a second try, doubled for each further one, seconds.
_BACKOFF_BASE_SECONDS, _BACKOFF_CAP_SECONDS = 0.01, 0.25


class ScriptClient:
    """Scripts on one server, from any event loop.

    Args:
        conn: the caller's client; it is never used for anything but its settings (or, for kinds of client
            without an async twin, from threads).
        timeout_seconds: longest the server may take to answer a call, retries included. It is counted from
            when the call is taken up; where the server is silent, what waits behind the silent calls fails
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
        open_channel(conn)  # a client that cannot be used is refused here, not at the first call
        self._conn = conn
        self._timeout_seconds = timeout_seconds
        self._connect_retries = connect_retries
        #: How long after its first sending a call may reach the server again, milliseconds.
        self.repeated_within_ms = round(2000 * timeout_seconds) + 1000
        self._pipelines: dict[asyncio.AbstractEventLoop, AutoPipeline] = {}
        self._guards: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}
        self._lock = threading.Lock()

    def call(self, script: Script, keys: Sequence[Any], args: Sequence[Any]) -> Awaitable[Any]:
        """The script's reply, once it is awaited; the call is made at once.

        Raises:
            StoreUnavailableError: not applied, no connection could be made.
            StoreRefusedError: the server answered with an error.
            StoreOutcomeUnknownError: sent, but no answer came back in time.
        """
        loop = asyncio.get_running_loop()
        call = Call(script, ("EVALSHA", script.sha, len(keys), *keys, *args), loop)
        pipeline = self._pipelines.get(loop)
        return self._call_first(call, loop) if pipeline is None else pipeline.submit(call)

    async def aclose(self) -> None:
        """Closes the connections of the running event loop. A later call opens new ones."""
        loop = asyncio.get_running_loop()
        with self._lock:
            pipeline, guard = self._pipelines.pop(loop, None), self._guards.pop(loop, None)
        if pipeline is not None:
            await pipeline.drain()
        if guard is not None:
            await guard.aclose()

    async def _call_first(self, call: Call, loop: asyncio.AbstractEventLoop) -> Any:
        pipeline = await self._open_pipeline(loop)
        return await pipeline.submit(call)

    async def _open_pipeline(self, loop: asyncio.AbstractEventLoop) -> AutoPipeline:
        with self._lock:
            # Loops that were closed by hand, so that nobody told their connections.
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
        """Has the connections closed when the event loop shuts down.

        `asyncio.run` closes the async generators that are still open on its loop before it closes the loop
        itself; so one generator, held open for that, lets a manager serve several `asyncio.run` in turn
        without leaving sockets behind.
        """
        try:
            yield
        finally:
            # A connection keeps its loop alive, so the one must not outlast the other here.
            with self._lock:
                if self._pipelines.get(loop) is pipeline:
                    del self._pipelines[loop], self._guards[loop]
            await pipeline.aclose()
