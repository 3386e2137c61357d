"""The faults: a method for each kind.

A method returns when the fault is over. Its result is how many times the fault broke something.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import redis

from tests.chaos.stack import Stack, pick

_QUEUES = ("bulk", "maintenance", "celery")

#: Messages that are remembered, to be delivered again.
_REMEMBERED = 500

_LOOK_EVERY_SECONDS = 0.1

#: Pause from one fault to the next. Some faults hit a stack that has not recovered, others one that works
#: again.
_PAUSE_SECONDS = (0.2, 3.0)


class Saboteur:
    """Breaks one thing after the other in a stack.

    Args:
        longest_freeze: longest time that the server may stand still, seconds.
    """

    def __init__(self, stack: Stack, rng: random.Random, longest_freeze: float) -> None:
        self._stack = stack
        self._rng = rng
        self._longest_freeze = longest_freeze
        self._seen: deque[tuple[str, bytes]] = deque(maxlen=_REMEMBERED)
        self._client = stack.server.client(socket_timeout=2)
        self._broker = stack.server.client(db=1, socket_timeout=2)
        #: Number of injections of each kind of fault.
        self.counts: Counter[str] = Counter()

    async def break_things(self, seconds: float) -> None:
        """Inject faults for so long: all kinds in random order, and again."""
        looking = asyncio.create_task(self._look_at_messages())
        ends_at = time.monotonic() + seconds
        try:
            while time.monotonic() < ends_at:
                for name, fault in self._rng.sample([*FAULTS.items()], len(FAULTS)):
                    await asyncio.sleep(self._rng.uniform(*_PAUSE_SECONDS))
                    if time.monotonic() > ends_at:
                        break
                    await self._inject(name, fault)
        finally:
            looking.cancel()
            await asyncio.to_thread(self._mend)

    async def _inject(self, name: str, fault: "Fault") -> None:
        with suppress(redis.RedisError):  # raised if the server is broken already
            self.counts[name] += await fault(self)

    def _mend(self) -> None:
        self._stack.server.thaw() if self._stack.server.running else self._stack.server.start()
        self._stack.proxy.tear_replies(0)
        self._client.close()
        self._broker.close()

    async def kill_worker(self) -> int:
        pick(self._rng, self._stack.workers).signal(signal.SIGKILL, group=True)
        return 1

    async def kill_worker_alone(self) -> int:
        pick(self._rng, self._stack.workers).signal(signal.SIGKILL)
        return 1

    async def terminate_worker(self) -> int:
        pick(self._rng, self._stack.workers).signal(signal.SIGTERM)
        return 1

    async def kill_pool_child(self) -> int:
        children = await asyncio.to_thread(pick(self._rng, self._stack.workers).children)
        for pid in children[:1]:
            with suppress(ProcessLookupError):
                # The process is ours: it belongs to the pool of a worker that this run has started.
                os.kill(pid, signal.SIGKILL)
        return len(children[:1])

    async def kill_beat(self) -> int:
        pick(self._rng, self._stack.beats).signal(signal.SIGKILL, group=True)
        return 1

    async def kill_server(self) -> int:
        await asyncio.to_thread(self._stack.server.kill)
        await asyncio.sleep(self._rng.uniform(0, 2))
        await asyncio.to_thread(self._stack.server.start)
        return 1

    async def restart_server(self) -> int:
        await asyncio.to_thread(self._stack.server.restart)
        return 1

    async def freeze_server(self) -> int:
        self._stack.server.freeze()
        try:
            await asyncio.sleep(self._rng.uniform(0.5, self._longest_freeze))
        finally:
            self._stack.server.thaw()
        return 1

    async def freeze_server_and_kill_worker(self) -> int:
        self._stack.server.freeze()
        try:
            await asyncio.sleep(1.5)
            await self.kill_worker()
        finally:
            self._stack.server.thaw()
        return 1

    async def empty_broker(self) -> int:
        await asyncio.to_thread(self._broker.flushdb)
        return 1

    async def flush_scripts(self) -> int:
        await asyncio.to_thread(self._client.script_flush)
        return 1

    async def deliver_twice(self) -> int:
        chosen = self._rng.sample([*self._seen], min(10, len(self._seen)))
        for queue, text in chosen:
            await asyncio.to_thread(self._broker.lpush, queue, _copy_of(text))
        return len(chosen)

    async def tear_replies(self) -> int:
        self._stack.proxy.tear_replies(count := self._rng.randint(1, 8))
        return count

    async def kill_connections(self) -> int:
        killed = 0
        for kind in ("normal", "pubsub"):
            killed += await asyncio.to_thread(self._client.client_kill_filter, _type=kind, skipme=True)
        return int(killed > 0)

    async def _look_at_messages(self) -> None:
        """Remember messages that wait, or that a worker holds."""
        while True:
            with suppress(redis.RedisError):
                self._seen.extend(await asyncio.to_thread(self._waiting_messages))
            await asyncio.sleep(_LOOK_EVERY_SECONDS)

    def _waiting_messages(self) -> list[tuple[str, bytes]]:
        found = [(queue, text) for queue in _QUEUES for text in self._broker.lrange(queue, 0, 50)]
        for held in self._broker.hvals("unacked"):
            message, _, queue = json.loads(held)
            found.append((queue, json.dumps(message).encode()))
        known = {text for _, text in self._seen}
        return [each for each in found if each[1] not in known]


def _copy_of(text: bytes) -> str:
    """Return the same message as the broker would hold it if it had been sent twice."""
    message: dict[str, Any] = json.loads(text)
    message["properties"]["delivery_tag"] = str(uuid4())
    return json.dumps(message)


Fault = Callable[[Saboteur], Awaitable[int]]

FAULTS: dict[str, Fault] = {
    "worker killed with its pool": Saboteur.kill_worker,
    "worker killed, its pool left": Saboteur.kill_worker_alone,
    "worker terminated": Saboteur.terminate_worker,
    "pool process killed": Saboteur.kill_pool_child,
    "Beat killed": Saboteur.kill_beat,
    "server killed": Saboteur.kill_server,
    "server restarted": Saboteur.restart_server,
    "server frozen": Saboteur.freeze_server,
    "server frozen, worker killed": Saboteur.freeze_server_and_kill_worker,
    "broker emptied": Saboteur.empty_broker,
    "scripts flushed": Saboteur.flush_scripts,
    "message delivered again": Saboteur.deliver_twice,
    "reply torn": Saboteur.tear_replies,
    "all connections killed": Saboteur.kill_connections,
}
