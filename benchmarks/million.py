"""Revoke a million sessions of one agent; two real workers reclaim them: `python -m benchmarks.million`.

The settings come from the environment, as workers read them: `AGENT_SESSIONS_PACE`,
`AGENT_SESSIONS_SLICE_SECONDS`, `AGENT_SESSIONS_PARTITIONS`. The run has a server and a namespace of its own.
"""

import argparse
import asyncio
import json
import os
import time
from contextlib import ExitStack
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table
from tests.support.processes import CeleryProcess

from agent_runtime.manager import Session, SessionManager, Settings
from agent_runtime.manager.jobs import JobProgress, OpenedJob
from agent_runtime.manager.keys import Partitions
from agent_runtime.manager.new_ids import new_session_id
from agent_runtime.manager.settings import ENV_PREFIX
from agent_runtime.tasks import SessionJobs
from benchmarks.populate import Owned, Populated, populate
from benchmarks.server import KINDS, BenchServer, bench_server
from benchmarks.talk import conversation
from benchmarks.timing import reached

RESULTS = Path(__file__).parent / "results" / "million.json"

_AGENT, _OTHER_AGENT = "retired", "other"
_OTHER_SESSIONS = 10_000
_SESSIONS_PER_USER = 20
_CHECKPOINTS, _CHECKPOINT_BYTES = 3, 100
_WORKERS = 2

#: Seconds: between two looks at the job, between two sessions created meanwhile, until memory is given back.
_LOOK_SECONDS, _CREATE_SECONDS, _SETTLE_SECONDS = 0.1, 0.25, 20.0
_LONGEST_SECONDS = 1_800

_AIM_DETACH_MS, _AIM_LAST_TENTH = 5.0, 0.8
#: Share of the large agent's memory that is given back. The server's own tables keep a little of their
#: largest size: for a million sessions, 4.6 MiB of 1,499.
_AIM_GIVEN_BACK = 0.99

#: A time, and how many sessions the job had done by then.
_Look = tuple[float, int]


class _TimedManager(SessionManager):
    """A manager that notes how long opening a job takes. The message to the workers is sent later."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.revoke_ms = 0.0
        self._open = self.jobs.open
        self.jobs.open = self._timed_open  # type: ignore[method-assign]

    async def _timed_open(self, *args: Any, **named: Any) -> OpenedJob:
        started = time.perf_counter()
        try:
            return await self._open(*args, **named)
        finally:
            self.revoke_ms = (time.perf_counter() - started) * 1_000


class _Reclaimed(NamedTuple):
    """Observations of the job."""

    revoke_ms: float
    seconds: float
    progress: JobProgress
    looks: list[_Look]
    created: list[Session]


class _Memory(NamedTuple):
    """`used_memory`, bytes: of the server alone, with the other agent, with the large agent, at the end."""

    empty: int
    before: int
    full: int
    after: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000, help="of the agent that is revoked")
    parser.add_argument("--server", choices=KINDS, default=KINDS[0])
    options = parser.parse_args()
    with bench_server(options.server) as server, ExitStack() as stack:
        given = {"redis_url": server.url, "namespace": server.namespace, "max_sessions": 100_000_000}
        given["partitions"] = int(os.environ.get(ENV_PREFIX + "PARTITIONS", _WORKERS))
        settings = Settings(_env_file=None, **given)
        empty = _used_memory(server)
        for number in range(_WORKERS):
            stack.enter_context(_worker(number, given))
        result = asyncio.run(_measure(server, settings, options.sessions, empty))
    _print(result)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {RESULTS}")
    raise SystemExit(0 if all(result["aims"].values()) else 1)


def _worker(number: int, given: dict[str, object]) -> CeleryProcess:
    inherited = {
        name.removeprefix(ENV_PREFIX).lower(): value
        for name, value in os.environ.items()
        if name.startswith(ENV_PREFIX)
    }
    arguments = ("worker", "--concurrency", "1", "--loglevel", "INFO", "-n", f"million{number}@%h")
    return CeleryProcess(*arguments, ready="ready.", **(inherited | given))


async def _measure(server: BenchServer, settings: Settings, sessions: int, empty: int) -> dict[str, Any]:
    async with _TimedManager.from_settings(settings) as manager:
        await (await SessionJobs(manager).delete_agent_sessions("nobody")).wait(60)  # connections, scripts
        others = _fill(server, settings, _OTHER_AGENT, _OTHER_SESSIONS)
        before = _used_memory(server)
        _fill(server, settings, _AGENT, sessions)
        full = _used_memory(server)
        reclaimed = await _reclaim(manager)
        aim = before + round((full - before) * (1 - _AIM_GIVEN_BACK))
        after = await asyncio.to_thread(_settled_memory, server, aim)
        readable = await _readable(manager, [session_id for session_id, _ in others])
        created = await _readable(manager, [session.session_id for session in reclaimed.created])
        listed = await manager.get_active_session_count()
    result = _told(settings, sessions, reclaimed, _Memory(empty, before, full, after))
    result["setting"]["server"] = server.version()
    result["others_readable"], result["created_readable"] = readable, created
    result["aims"] |= {
        "every session of the other agent is readable": readable == len(others),
        "every session created meanwhile is readable": created == len(reclaimed.created) > 0,
        "the count of all sessions is exact": listed == len(others) + len(reclaimed.created),
    }
    return result


def _fill(server: BenchServer, settings: Settings, agent: str, count: int) -> Owned:
    users = [f"{agent}_user_{number // _SESSIONS_PER_USER:06d}" for number in range(count)]
    partitions = Partitions(settings.namespace, settings.partitions)
    places = sorted((partitions.of_user(user).prefix, user) for user in users)
    keys = {each.prefix: each for each in partitions.all}
    what = Populated(agent, _CHECKPOINTS, conversation(_CHECKPOINT_BYTES))
    owned: Owned = []
    for prefix, group in groupby(places, key=itemgetter(0)):
        here = [(new_session_id(user), user) for _, user in group]
        populate(server.client, keys[prefix], here, what)
        owned += here
    return owned


async def _reclaim(manager: _TimedManager) -> _Reclaimed:
    """Revoke the agent and watch until it is reclaimed, while the agent gets new sessions."""
    job = await SessionJobs(manager).delete_agent_sessions(_AGENT)
    started = time.perf_counter()
    looks: list[_Look] = []
    created: list[Session] = []
    while True:
        progress = await job.progress()
        looks.append((time.perf_counter(), progress.done))
        if progress.finished:
            return _Reclaimed(manager.revoke_ms, looks[-1][0] - started, progress, looks, created)
        assert looks[-1][0] - started < _LONGEST_SECONDS, f"still open: {progress}"
        if len(created) * _CREATE_SECONDS <= looks[-1][0] - started:
            session = await manager.create_session(f"new_user_{len(created)}", _AGENT)
            await manager.save_checkpoint(session.session_id, {"turn": 1})
            created.append(session)
        await asyncio.sleep(_LOOK_SECONDS)


async def _readable(manager: SessionManager, session_ids: list[str]) -> int:
    """Count the sessions that can be read and have a checkpoint."""
    count = 0
    for first in range(0, len(session_ids), 1_000):
        some = session_ids[first : first + 1_000]
        sessions = await asyncio.gather(*map(manager.get_session, some))
        checkpoints = await asyncio.gather(*map(manager.get_latest_checkpoint, some))
        count += sum(bool(session and last) for session, last in zip(sessions, checkpoints, strict=True))
    return count


def _used_memory(server: BenchServer) -> int:
    return int(server.client.info("memory")["used_memory"])


def _settled_memory(server: BenchServer, aim: int) -> int:
    """Return the memory at the end. The server shrinks its tables little by little."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (used := _used_memory(server)) > aim and time.monotonic() < deadline:
        time.sleep(0.5)
    return used


def _told(settings: Settings, sessions: int, reclaimed: _Reclaimed, memory: _Memory) -> dict[str, Any]:
    rates = _rates_by_tenths(reclaimed.looks, sessions)
    progress = reclaimed.progress
    steady = rates[-1] / rates[0]
    given_back = (memory.full - memory.after) / (memory.full - memory.before)
    return {
        "setting": {
            "sessions": sessions,
            "checkpoints_in_each": _CHECKPOINTS,
            "workers": _WORKERS,
            **settings.model_dump(include={"pace", "batch_target_ms", "slice_seconds", "partitions"}),
        },
        "revoke_ms": round(reclaimed.revoke_ms, 2),
        "seconds": round(reclaimed.seconds, 1),
        "sessions_per_second": round(sessions / reclaimed.seconds),
        "sessions_per_second_by_tenths": [round(rate) for rate in rates],
        "last_tenth_to_first": round(steady, 2),
        "total_done_removed": [progress.total, progress.done, progress.removed],
        "receipt": progress.receipt.model_dump(mode="json") if progress.receipt else None,
        "created_meanwhile": len(reclaimed.created),
        "used_memory_mib": {name: round(size / 2**20, 1) for name, size in memory._asdict().items()},
        "memory_after_to_before": round(memory.after / memory.before, 3),
        "memory_given_back": round(given_back, 4),
        "aims": {
            f"revoked in less than {_AIM_DETACH_MS:g} ms": reclaimed.revoke_ms < _AIM_DETACH_MS,
            "exactly the agent's sessions were removed": (progress.total, progress.removed)
            == (sessions,) * 2,
            "nothing is left of them": progress.receipt is not None
            and progress.receipt.residue.sessions == 0,
            f"the last tenth at {_AIM_LAST_TENTH:g} or more of the first": steady >= _AIM_LAST_TENTH,
            f"{_AIM_GIVEN_BACK:.0%} or more of its memory is given back": given_back >= _AIM_GIVEN_BACK,
        },
    }


def _rates_by_tenths(looks: list[_Look], sessions: int) -> list[float]:
    """Return sessions per second in each tenth of the work, from the last look before the first session."""
    moments = [_moment_of(looks, sessions * tenth / 10) for tenth in range(11)]
    return [sessions / 10 / max(later - earlier, 1e-9) for earlier, later in pairwise(moments)]


def _moment_of(looks: list[_Look], done: float) -> float:
    """Return the time at which so many were done, on a straight line between two looks."""
    later = next(place for place, look in enumerate(looks) if look[1] > 0 and look[1] >= done)
    (before_at, before), (at, now) = looks[max(later - 1, 0)], looks[later]
    return at if now == before else before_at + (at - before_at) * (done - before) / (now - before)


def _print(result: dict[str, Any]) -> None:
    table = Table(title=", ".join(f"{name} {value}" for name, value in result["setting"].items()))
    table.add_column("")
    table.add_column("measured", justify="right")
    for name, value in result.items():
        if name not in ("setting", "aims"):
            table.add_row(name.replace("_", " "), str(value))
    for aim, met in result["aims"].items():
        table.add_row(aim, reached(met))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
