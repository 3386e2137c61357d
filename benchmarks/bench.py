"""What every case works with."""

import json
from typing import NamedTuple

import redis
import redis.asyncio as aredis

from benchmarks.server import BenchServer
from manager import SessionManager, Settings
from manager.keys import Keys

#: Connections of a pool: of the manager's, and of the raw client's in gathered cases.
POOL_SIZE = 50

_SENTENCES = (
    "Could you tell me where my order is?",
    "It left our warehouse on Tuesday and should arrive tomorrow before noon.",
    "Thank you, and can I still change the address to my office?",
    "Of course; please give me the street, the number and the name on the door.",
    "I would also like an invoice with the company's name on it.",
    "The invoice is on its way to the address we have on file for you.",
)


class Sizes(NamedTuple):
    """How much one run does."""

    rounds: int
    sequential_calls: int
    gathered_calls: int
    #: How many sessions are created, or read, at a time.
    widths: tuple[int, ...]
    detach_rounds: int
    detached: tuple[int, ...]
    bulk_rounds: int
    #: Sessions of one agent to reclaim, and expired ones to sweep.
    bulk: int
    #: Checkpoints in each session to reclaim: one case for each number.
    reclaim_checkpoints: tuple[int, ...]
    #: Sessions that are reclaimed while another process reads.
    latency_rounds: int
    latency_sessions: int


FULL = Sizes(9, 500, 1_000, (100, 1_000), 31, (100, 10_000, 100_000), 7, 100_000, (1, 3), 5, 100_000)
QUICK = Sizes(7, 100, 300, (100,), 11, (100, 1_000, 10_000), 7, 5_000, (1,), 3, 10_000)


class Bench(NamedTuple):
    """One run: server, sizes, the manager under test and its raw counterparts."""

    server: BenchServer
    sizes: Sizes
    manager: SessionManager
    keys: Keys
    #: Raw redis-py asyncio as it comes, for calls in turn.
    raw: aredis.Redis
    #: The same with a pool that makes callers wait, for gathered calls.
    raw_pool: aredis.Redis
    #: Whether results are written to files.
    save: bool

    def raw_for(self, width: int) -> aredis.Redis:
        return self.raw if width == 1 else self.raw_pool

    async def aclose(self) -> None:
        await self.manager.aclose()
        await self.raw.aclose()
        await self.raw_pool.aclose()


def open_bench(server: BenchServer, sizes: Sizes, *, save: bool = False) -> Bench:
    """A run on the server."""
    settings = Settings(
        _env_file=None, namespace=server.namespace, redis_url=server.url, partitions=1, pace="full"
    )
    conn = redis.Redis.from_url(server.url, max_connections=POOL_SIZE)
    waiting = aredis.BlockingConnectionPool.from_url(server.url, max_connections=POOL_SIZE)
    return Bench(
        server=server,
        sizes=sizes,
        manager=SessionManager(conn, ttl=3600, max_sessions=10_000_000, settings=settings),
        keys=Keys(server.namespace, 0),
        raw=aredis.Redis.from_url(server.url),
        raw_pool=aredis.Redis.from_pool(waiting),
        save=save,
    )


def conversation(size_bytes: int) -> dict[str, object]:
    """A checkpoint that is exactly so long as JSON: turns of a talk, as an agent keeps them."""
    history: list[dict[str, object]] = []
    data: dict[str, object] = {"turn": 0, "note": "", "history": history}
    while True:
        turn = len(history)
        role = "assistant" if turn % 2 else "user"
        history.append({"role": role, "content": f"{_SENTENCES[turn % len(_SENTENCES)]} ({turn})"})
        if len(as_json(data)) > size_bytes:
            history.pop()
            data["note"] = "." * (size_bytes - len(as_json(data)))
            return data


def as_json(data: object) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
