"""What other clients feel while sessions are reclaimed: politely, fully, by two workers, by `UNLINK`."""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal, NamedTuple

from benchmarks.bench import Bench, conversation
from benchmarks.bulk_cases import KEYS_AT_ONCE, unlink
from benchmarks.foreground import Felt, percentile_ms, start_reader
from benchmarks.latency_plot import draw
from benchmarks.populate import Owned, Populated, new_owned, own_keys, populate
from benchmarks.timing import Comparison, reached
from manager import SessionManager, Settings
from manager.script_source import load_script

_AGENT = "chatbot"
_CHECKPOINTS = 3
_CHECKPOINT_BYTES = 400
_IDLE_SECONDS = 2.0
#: Aims: others' p99 is at most so many times the idle one, or so many ms if that is more.
_AIM_TIMES_IDLE, _AIM_MS = 3.0, 2.0
_AIM_SCRIPT_MS = 5.0
#: Lowest speed against `UNLINK` that counts as reached.
_AIM_SPEED = {"polite": 0.10, "full": 0.30}

_PaceName = Literal["polite", "full"]


class _Round(NamedTuple):
    """One window of one kind of load."""

    felt: Felt
    script_p99_ms: float

    @property
    def seconds(self) -> float:
        return self.felt.ended - self.felt.started


#: Makes the work of one window ready; that work, which is done in other processes or blocks this one.
_Load = Callable[[], Awaitable[Callable[[], Any]]]


async def latency_cases(bench: Bench) -> AsyncIterator[Comparison]:
    """Others' `GET` and `get_session` in every window, and the speed of reclaiming against `UNLINK`."""
    owned = new_owned(bench.sizes.latency_sessions)
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker()) for _ in range(2)]
        loads: dict[str, _Load] = {
            "idle": partial(_idle, bench),
            "UNLINK": partial(_bare, bench, owned),
            "polite": partial(_job, bench, workers[:1], "polite"),
            "full": partial(_job, bench, workers[:1], "full"),
            "polite, two workers": partial(_job, bench, workers, "polite"),
        }
        rounds: dict[str, list[_Round]] = {name: [] for name in loads}
        for number in range(bench.sizes.latency_rounds):
            for name in loads if number % 2 else reversed(loads):
                rounds[name].append(await _round(bench, owned, loads[name]))
    bench.server.clean()
    if bench.save:
        shown = ("idle", "polite", "full", "UNLINK")
        print(f"written to {draw({name: [each.felt for each in rounds[name]] for name in shown})}")
    for name in loads:
        if name != "idle":
            yield _compared(name, len(owned), rounds)


async def _round(bench: Bench, owned: Owned, load: _Load) -> _Round:
    bench.server.clean()
    populate(
        bench.server.client,
        bench.keys,
        owned,
        Populated(_AGENT, _CHECKPOINTS, conversation(_CHECKPOINT_BYTES)),
    )
    reader = await start_reader(bench)
    work = await load()
    bench.server.note_slow_commands()
    started = time.perf_counter()
    work()
    ended = time.perf_counter()
    times = bench.server.noted_times_ms(load_script("reclaim_batch").sha)
    p99 = statistics.quantiles(times, n=100, method="inclusive")[-1] if len(times) > 1 else 0.0
    return _Round(reader.stop(started, ended), p99)


def _compared(name: str, sessions: int, rounds: dict[str, list[_Round]]) -> Comparison:
    """The speed of one load against `UNLINK`; medians over the rounds of what others felt."""
    details: dict[str, Any] = {}
    in_time = True
    for call in ("gets", "sessions"):
        p50, p99 = (_median(call, percent, rounds[name]) for percent in (50, 99))
        idle = _median(call, 99, rounds["idle"])
        in_time = in_time and p99 <= max(_AIM_TIMES_IDLE * idle, _AIM_MS)
        label = "GET" if call == "gets" else "get_session"
        details |= {f"{label}_ms_p50": round(p50, 2), f"{label}_ms_p99": round(p99, 2)}
        details |= {f"{label}_ms_p99_idle": round(idle, 2), f"{label}_times_idle": round(p99 / idle, 1)}
    script_p99 = statistics.median(each.script_p99_ms for each in rounds[name])
    if script_p99:
        details["script_ms_p99"] = round(script_p99, 2)
    if name.startswith("polite"):
        aim = f"p99 <= {_AIM_TIMES_IDLE:g} times idle or {_AIM_MS:g} ms"
        details["aim"] = f"{aim}: {reached(in_time)}"
    elif name == "full":
        details["aim"] = f"script p99 <= {_AIM_SCRIPT_MS:g} ms: {reached(script_p99 <= _AIM_SCRIPT_MS)}"
    return Comparison(
        case=f"others' reads, {sessions:,} sessions reclaimed: {name}",
        against="UNLINK of 1,000 keys at a time",
        unit="sessions",
        operations=sessions,
        raw_seconds=[each.seconds for each in rounds["UNLINK"]],
        our_seconds=[each.seconds for each in rounds[name]],
        aim=_AIM_SPEED.get(name.split(",")[0]),
        details=details,
    )


def _median(call: str, percent: float, rounds: list[_Round]) -> float:
    return statistics.median(percentile_ms(getattr(each.felt, call), percent) for each in rounds)


async def _idle(bench: Bench) -> Callable[[], Any]:
    return partial(time.sleep, _IDLE_SECONDS)


async def _bare(bench: Bench, owned: Owned) -> Callable[[], Any]:
    places = own_keys(bench.keys, owned, _CHECKPOINTS)
    return partial(unlink, places, KEYS_AT_ONCE, bench.server.client)


async def _job(bench: Bench, workers: list[ProcessPoolExecutor], pace: _PaceName) -> Callable[[], Any]:
    job_id = await bench.manager.revoke_agent_sessions(_AGENT)
    arguments = (bench.server.url, bench.server.namespace, job_id, pace)

    def work() -> None:
        runs = [worker.submit(_run_job, *arguments) for worker in workers]
        removed = [run.result() for run in runs]
        assert max(removed) == bench.sizes.latency_sessions, removed

    return work


def _worker() -> ProcessPoolExecutor:
    """A process that has imported what it needs."""
    worker = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
    worker.submit(load_script, "reclaim_batch").result()
    return worker


def _run_job(url: str, namespace: str, job_id: str, pace: _PaceName) -> int:
    """Works on the job until it is done, in a worker's process."""
    settings = Settings(_env_file=None, redis_url=url, namespace=namespace, pace=pace)

    async def run() -> int:
        async with SessionManager.from_settings(settings) as manager:
            return (await manager.runner.run(job_id)).removed

    return asyncio.run(run())
