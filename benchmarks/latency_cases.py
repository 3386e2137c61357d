"""Latency of other clients while sessions are reclaimed or swept: politely, fully, by two workers, bare."""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal, NamedTuple

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.transport.script import load_script
from benchmarks.bench import MAX_SESSIONS, Bench
from benchmarks.bulk_cases import bare_sweep, grouped, unlink
from benchmarks.calls import AGENT
from benchmarks.foreground import Felt, percentile_ms, percentiles_ms, start_reader
from benchmarks.populate import Owned, Populated, new_owned, own_keys, populate
from benchmarks.talk import conversation
from benchmarks.timing import Result

_CHECKPOINTS, _CHECKPOINT_BYTES = 3, 400
_IDLE_SECONDS = 2.0
#: Aim for others' p99: at most so many times the idle p99, or so many ms if that is more.
_AIM_TIMES_IDLE, _AIM_MS = 3.0, 2.0
#: Loads that run once on the largest store; all other loads run only on the smaller store.
_FOR_THE_LARGEST = ("idle", "UNLINK", "bare sweep", "reclaim, polite", "sweep, polite")

_PaceName = Literal["polite", "full"]
#: Does the whole work, either in other processes or by blocking this one.
_Work = Callable[[], Any]


class _Load(NamedTuple):
    """A kind of work that other clients may feel."""

    ready: Callable[[], Awaitable[_Work]]
    #: Contents of the store when the work begins.
    what: Populated
    #: The load whose speed is compared, and the lowest ratio that counts as reached.
    bare: str = ""
    aim: float | None = None
    polite: bool = False


class _Round(NamedTuple):
    """One window of one kind of load."""

    felt: Felt
    #: The 99th percentile of the scripts of bulk work.
    script_p99_ms: float

    @property
    def seconds(self) -> float:
        return self.felt.ended - self.felt.started


async def latency_cases(bench: Bench) -> AsyncIterator[Result]:
    """Yield the speed of bulk work against bare commands, and others' `GET` against a server with nothing to
    do."""
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker()) for _ in range(2)]
        for place, (sessions, times) in enumerate(bench.sizes.latency):
            owned = new_owned(sessions)
            loads = _loads(bench, workers, owned)
            if place:
                loads = {name: loads[name] for name in _FOR_THE_LARGEST}
            rounds: dict[str, list[_Round]] = {name: [] for name in loads}
            for number in range(times):
                for name in loads if number % 2 else reversed(loads):
                    rounds[name].append(await _round(bench, owned, loads[name]))
            bench.server.clean()
            for name, load in loads.items():
                for result in _results(name, load, sessions, rounds):
                    yield result


def _loads(bench: Bench, workers: list[ProcessPoolExecutor], owned: Owned) -> dict[str, _Load]:
    full = Populated(AGENT, _CHECKPOINTS, conversation(_CHECKPOINT_BYTES))
    due = Populated(AGENT, 0, {}, expires_in_ms=-2 * len(owned), own_keys=False)
    job = partial(_job, bench, len(owned))
    sweep = partial(_sweep, bench, workers[:1], len(owned))
    unlinked = _Load(partial(_unlinked, bench, owned), full)
    return {
        "idle": _Load(_idle, full),
        "UNLINK": unlinked,
        "reclaim, polite": _Load(partial(job, workers[:1], "polite"), full, "UNLINK", 0.10, polite=True),
        "reclaim, polite, two workers": _Load(partial(job, workers, "polite"), full, "UNLINK", polite=True),
        "reclaim, full": _Load(partial(job, workers[:1], "full"), full, "UNLINK", 0.30),
        "bare sweep": _Load(partial(_bare_sweep, bench, owned), due),
        "sweep, polite": _Load(partial(sweep, "polite"), due, "bare sweep", polite=True),
        "sweep, full": _Load(partial(sweep, "full"), due, "bare sweep"),
    }


async def _round(bench: Bench, owned: Owned, load: _Load) -> _Round:
    bench.server.clean()
    populate(bench.server.client, bench.keys, owned, load.what)
    work = await load.ready()
    reader = await start_reader(bench)
    bench.server.note_slow_commands()
    started = time.perf_counter()
    work()
    ended = time.perf_counter()
    times = [
        each
        for script in ("jobs/reclaim_batch", "jobs/sweep_batch")
        for each in bench.server.noted_times_ms(load_script(script).sha)
    ]
    p99 = statistics.quantiles(times, n=100, method="inclusive")[-1] if len(times) > 1 else 0.0
    return _Round(reader.stop(started, ended), p99)


def _results(name: str, load: _Load, sessions: int, rounds: dict[str, list[_Round]]) -> list[Result]:
    """Return others' latency against idle, and the speed if the load has a bare counterpart."""
    ours = rounds[name]
    details: dict[str, Any] = {
        "load": name,
        "sessions": sessions,
        "seconds": _median(ours, lambda r: r.seconds),
    }
    for label, reads in (("GET", "gets"), ("get_session", "sessions")):
        for percent in (50, 99, 100):
            of_round = partial(_percentile, reads, percent)
            title = "longest" if percent == 100 else f"p{percent}"
            details[f"{label} {title}, ms"] = _median(ours, of_round)
    script_p99 = _median(ours, lambda r: r.script_p99_ms)
    if script_p99:
        details["script p99, ms"] = script_p99
    details["GET, ms by percentile"] = percentiles_ms([read for each in ours for read in each.felt.gets])
    idle_p99, our_p99 = ([_percentile("gets", 99, each) for each in rounds[key]] for key in ("idle", name))
    aim = max(_AIM_TIMES_IDLE, _AIM_MS / statistics.median(idle_p99)) if load.polite else None
    case = f"p99 of others' GET, {sessions:,} sessions: {name}"
    felt = Result(case, "idle", idle_p99, our_p99, unit="ms", aim=aim, details=details)
    if not load.bare:
        return [felt]
    raw_seconds, our_seconds = ([each.seconds for each in rounds[key]] for key in (load.bare, name))
    speed = Result(
        f"{name}, {sessions:,} sessions, while others read",
        load.bare,
        raw_seconds,
        our_seconds,
        operations=sessions,
        aim=load.aim,
    )
    return [felt, speed]


def _percentile(reads: str, percent: float, each: _Round) -> float:
    return percentile_ms(getattr(each.felt, reads), percent)


def _median(rounds: list[_Round], figure: Callable[[_Round], float]) -> float:
    return round(statistics.median(map(figure, rounds)), 3)


async def _idle() -> _Work:
    return partial(time.sleep, _IDLE_SECONDS)


async def _unlinked(bench: Bench, owned: Owned) -> _Work:
    return partial(unlink, own_keys(bench.keys, owned, _CHECKPOINTS), bench.server.client)


async def _bare_sweep(bench: Bench, owned: Owned) -> _Work:
    return partial(bare_sweep, bench.keys, grouped(bench.keys, owned), bench.server.client)


async def _job(bench: Bench, sessions: int, workers: list[ProcessPoolExecutor], pace: _PaceName) -> _Work:
    job_id = await bench.manager.revoke_agent_sessions(AGENT)
    return partial(
        _all_done, workers, sessions, _run_job, bench.server.url, bench.server.namespace, pace, job_id
    )


async def _sweep(bench: Bench, workers: list[ProcessPoolExecutor], sessions: int, pace: _PaceName) -> _Work:
    return partial(_all_done, workers, sessions, _run_sweep, bench.server.url, bench.server.namespace, pace)


def _all_done(workers: list[ProcessPoolExecutor], sessions: int, *call: Any) -> None:
    runs = [worker.submit(*call) for worker in workers]
    removed = [run.result() for run in runs]
    assert max(removed) == sessions, removed


def _worker() -> ProcessPoolExecutor:
    """Start a process that has imported what it needs."""
    worker = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    worker.submit(load_script, "jobs/reclaim_batch").result()
    return worker


def _run_job(url: str, namespace: str, pace: _PaceName, job_id: str) -> int:
    """Work on the job until it is done, in a worker's process."""

    async def run(manager: SessionManager) -> int:
        return (await manager.jobs.run(job_id)).removed

    return _run(url, namespace, pace, run)


def _run_sweep(url: str, namespace: str, pace: _PaceName) -> int:
    return _run(url, namespace, pace, SessionManager.cleanup_expired_sessions)


def _run(url: str, namespace: str, pace: _PaceName, work: Callable[[SessionManager], Awaitable[int]]) -> int:
    settings = Settings(
        _env_file=None, redis_url=url, namespace=namespace, pace=pace, max_sessions=MAX_SESSIONS
    )

    async def run() -> int:
        async with SessionManager.from_settings(settings) as manager:
            return await work(manager)

    return asyncio.run(run())
