"""A client that only reads, in a process of its own, and notes how long its reads take while others work."""

import asyncio
import multiprocessing
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NamedTuple

import redis

from agent_runtime.manager import SessionManager, Settings
from benchmarks.bench import Bench

#: Pauses between two reads, seconds. They are random, so that reads do not fall in step with batches.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0001, 0.0009
_METHOD = multiprocessing.get_context("spawn")

#: Start of each read (`time.perf_counter`, the same in all processes on Linux) and its duration, seconds.
Reads = list[tuple[float, float]]


class Felt(NamedTuple):
    """The reads that began in one window of time."""

    started: float
    ended: float
    gets: Reads
    sessions: Reads


def percentile_ms(reads: Reads, percent: float) -> float:
    """Return a percentile of the reads' durations; 100 is the longest."""
    taken = [seconds * 1_000 for _, seconds in reads]
    if percent == 100 or len(taken) < 2:
        return max(taken, default=0.0)
    return statistics.quantiles(taken, n=1_000, method="inclusive")[round(percent * 10) - 1]


def percentiles_ms(reads: Reads) -> list[list[float]]:
    """Return pairs of percent and milliseconds to draw a line through, closer together at the slow end."""
    percents = [*range(1, 99), *(99 + tenth / 10 for tenth in range(10)), 100]
    return [[round(percent, 1), round(percentile_ms(reads, percent), 3)] for percent in percents]


class Reader:
    """A process that reads one key and one session in turn until it is told to stop."""

    def __init__(self, url: str, namespace: str, key: str, session_id: str) -> None:
        self._pipe, theirs = _METHOD.Pipe()
        arguments = (theirs, url, namespace, key, session_id)
        self._process = _METHOD.Process(target=_read_until_told, args=arguments, daemon=True)
        self._process.start()
        assert self._pipe.recv() == "reading"

    def stop(self, started: float, ended: float) -> Felt:
        """Stop the process, and return its reads that began between the two times."""
        self._pipe.send("stop")
        windows = [[read for read in reads if started <= read[0] < ended] for reads in self._pipe.recv()]
        self._process.join()
        return Felt(started, ended, *windows)


async def start_reader(bench: Bench) -> Reader:
    """Start a reader with a session and a key of its own, beside whatever else is on the server."""
    session = await bench.manager.create_session("reader", "reader", {"tier": "premium"})
    key = f"{bench.server.namespace}:foreground"
    bench.server.client.set(key, "x" * 100)
    return Reader(bench.server.url, bench.server.namespace, key, session.session_id)


def _read_until_told(pipe: Connection, url: str, namespace: str, key: str, session_id: str) -> None:
    gets: Reads = []
    sessions: Reads = []
    with redis.Redis.from_url(url) as client, asyncio.Runner() as runner:
        manager = SessionManager(
            client, settings=Settings(_env_file=None, redis_url=url, namespace=namespace)
        )
        loop = runner.get_loop()
        for _ in range(100):  # open connections and load scripts
            client.get(key)
            loop.run_until_complete(manager.get_session(session_id))
        pipe.send("reading")
        while not pipe.poll():
            with _timed(gets):
                client.get(key)
            with _timed(sessions):
                found = loop.run_until_complete(manager.get_session(session_id))
            assert found is not None
        runner.run(manager.aclose())
    pipe.send((gets, sessions))


@contextmanager
def _timed(reads: Reads) -> Iterator[None]:
    started = time.perf_counter()
    yield
    reads.append((started, time.perf_counter() - started))
    time.sleep(random.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE))
