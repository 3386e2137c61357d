"""The run that every case works with: server, sizes, manager and raw clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import redis
import redis.asyncio as aredis

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.keys import Keys
from benchmarks.server import BenchServer

#: Connections in a pool: the manager's, and the raw client's in gathered cases.
POOL_SIZE = 50
MAX_SESSIONS = 100_000_000


class Sizes(NamedTuple):
    """Amounts of work in one run."""

    rounds: int
    #: Calls in one round, in turn and gathered, of a case of average weight.
    sequential_calls: int
    gathered_calls: int
    #: Numbers of calls gathered at a time.
    widths: tuple[int, ...]
    #: Most bytes of checkpoints in flight at a time.
    most_gathered_bytes: int
    bulk_rounds: int
    #: Sessions of one agent to reclaim, and expired sessions to sweep.
    bulk: int
    #: Sessions that are reclaimed or swept while another process reads, and how many times.
    latency: tuple[tuple[int, int], ...]
    #: Sessions whose memory is measured, and conversations.
    memory_sessions: int
    memory_talks: int
    #: Sessions in the store, and calls whose server time is measured.
    growth: tuple[int, ...]
    growth_calls: int


FULL = Sizes(
    rounds=7,
    sequential_calls=300,
    gathered_calls=1_000,
    widths=(10, 100, 1_000),
    most_gathered_bytes=200_000_000,
    bulk_rounds=7,
    bulk=100_000,
    latency=((30_000, 7), (1_000_000, 1)),
    memory_sessions=20_000,
    memory_talks=40,
    growth=(10_000, 100_000, 1_000_000),
    growth_calls=300,
)
QUICK = Sizes(
    rounds=2,
    sequential_calls=20,
    gathered_calls=100,
    widths=(10, 100),
    most_gathered_bytes=4_000_000,
    bulk_rounds=2,
    bulk=3_000,
    latency=((3_000, 1),),
    memory_sessions=1_000,
    memory_talks=2,
    growth=(1_000, 10_000),
    growth_calls=50,
)


class Bench(NamedTuple):
    """One run: server, sizes, the manager under test and its raw counterparts."""

    server: BenchServer
    sizes: Sizes
    manager: SessionManager
    keys: Keys
    #: Raw redis-py asyncio with its defaults, for calls in turn.
    raw: aredis.Redis
    #: The same client with a pool that makes callers wait, for gathered calls.
    raw_pool: aredis.Redis

    def raw_for(self, width: int) -> aredis.Redis:
        return self.raw if width == 1 else self.raw_pool

    def count_for(self, width: int, weight: float = 1) -> int:
        """Return the number of calls in one round: a multiple of `width`, fewer if a call takes longer."""
        calls = self.sizes.sequential_calls if width == 1 else self.sizes.gathered_calls
        return max(1, round(calls / weight / width)) * width if width > 1 else max(5, round(calls / weight))


@asynccontextmanager
async def open_bench(server: BenchServer, sizes: Sizes, *, url: str | None = None) -> AsyncIterator[Bench]:
    """Open a run on the server, reached by `url`."""
    url = url or server.url
    waiting = aredis.BlockingConnectionPool.from_url(url, max_connections=POOL_SIZE)
    async with (
        aredis.Redis.from_url(url) as raw,
        aredis.Redis.from_pool(waiting) as raw_pool,
        new_manager(server, url=url) as manager,
    ):
        yield Bench(server, sizes, manager, Keys(server.namespace, 0), raw, raw_pool)


def new_manager(
    server: BenchServer,
    kind: type[SessionManager] = SessionManager,
    *,
    url: str | None = None,
    **changes: object,
) -> SessionManager:
    """Make a manager in the bench's namespace that does bulk work with `pace=full`.

    Args:
        changes: further settings.
    """
    url = url or server.url
    given = {"namespace": server.namespace, "redis_url": url, "partitions": 1, "pace": "full"}
    settings = Settings(_env_file=None, **given | changes)
    conn = redis.Redis.from_url(url, max_connections=POOL_SIZE)
    return kind(conn, ttl=3600, max_sessions=MAX_SESSIONS, settings=settings)
