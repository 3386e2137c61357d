"""One run: start the stack, break it for a time, leave it in peace until it is done, and judge it."""

import random
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import redis

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.tasks import SessionJobs
from agent_runtime.tasks.publisher import Publisher
from tests.chaos.expected import Expected, replay
from tests.chaos.faults import Saboteur
from tests.chaos.found import Found, all_jobs, look
from tests.chaos.journal import read_journals
from tests.chaos.stack import Process, Stack
from tests.chaos.verdict import violations
from tests.support.wait_until import wait_until

#: Longest time that the stack may take to be done once it is left in peace, seconds.
_PEACE_SECONDS = 90

#: Longest freeze of the server, in runs of up to so many seconds and in longer runs.
_SHORT_RUN_SECONDS, _SHORT_FREEZE_SECONDS, _LONG_FREEZE_SECONDS = 300, 4.0, 30.0


class Run(NamedTuple):
    """The results of a run."""

    seed: str
    seconds: float
    faults: Counter[str]
    restarts: Counter[str]
    exits: Counter[str]
    expected: Expected
    found: Found
    violations: list[str]
    #: Folder with journals and logs, if a promise was broken.
    kept: Path | None


async def run_chaos(seed: str, seconds: float) -> Run:
    """Break a stack of its own for so many seconds. `violations` lists the broken promises."""
    async with Stack(seed) as stack:
        longest_freeze = _SHORT_FREEZE_SECONDS if seconds <= _SHORT_RUN_SECONDS else _LONG_FREEZE_SECONDS
        saboteur = Saboteur(stack, random.Random(seed), longest_freeze)
        started = time.monotonic()
        await saboteur.break_things(seconds)
        straight = {"redis_url": stack.server.url(), "call_timeout_seconds": 30}
        settings = Settings(**(stack.settings | straight))
        async with SessionManager.from_settings(settings) as manager:
            with stack.server.client() as client, stack.server.client(db=1) as broker:
                unrest = await _settle(stack, manager, broker)
                expected = replay(read_journals(stack.journals()))
                found = await look(manager, client, expected.sessions, expected.jobs)
        broken = [*unrest, *violations(expected, found)]
        stack.keeps_logs = bool(broken)
        return Run(
            seed,
            time.monotonic() - started,
            saboteur.counts,
            stack.restarts,
            stack.exits,
            expected,
            found,
            broken,
            stack.folder if broken else None,
        )


async def _settle(stack: Stack, manager: SessionManager, broker: redis.Redis) -> list[str]:
    """Let callers and jobs end. Return one line for each process or job that did not."""
    for caller in stack.callers:
        caller.signal(signal.SIGTERM)
    problems = [await _until_ended(caller) for caller in stack.callers]
    sizes = [worker.log_path.stat().st_size for worker in stack.workers]
    _make_due(broker)
    done = await _until_done(manager)
    problems += [await _until_heard_of(*each) for each in zip(stack.workers, sizes, strict=True)]
    for process in [*stack.beats, *stack.workers]:
        problems.append("" if process.status is None else f"{process.name} is dead")
    stack.end_beats()  # not before, because Beat's ticks show that workers listen
    if done:  # also the last sweeps that Beat asked for, one of which may have no message
        await _until_done(manager, publishes=True)
    return [problem for problem in problems if problem]


async def _until_done(manager: SessionManager, *, publishes: bool = False) -> bool:
    """Wait until nothing is left to do. Return False after too long a time; the verdict then says what is
    left.

    Args:
        publishes: requeue stalled jobs, as Beat has workers do.
    """
    publisher = Publisher(manager.settings)

    async def done() -> bool:
        if publishes:
            for job_id in await manager.jobs.take_stalled():
                publisher.publish(await manager.jobs.read(job_id))
        if (await SessionJobs(manager).preview_sweep()).sessions:
            return False
        return all(job.state.ended for job in await all_jobs(manager))

    try:
        await wait_until(done, description="the stack to be done", timeout=_PEACE_SECONDS)
    except AssertionError:
        return False
    return True


async def _until_ended(caller: Process) -> str:
    with suppress(AssertionError):
        await wait_until(
            lambda: caller.status is not None, description="a caller to end", timeout=_PEACE_SECONDS
        )
    if caller.status != 0:
        return f"{caller.name} ended with {caller.status}:\n{caller.log_path.read_text()[-2000:]}"
    return ""


async def _until_heard_of(worker: Process, size: int) -> str:
    """Wait until the worker takes a task. A worker that takes none is as good as none; Beat sends one every
    second."""
    try:
        await wait_until(
            lambda: b"received" in worker.log_path.read_bytes()[size:],
            description=f"{worker.name} to take a task",
            timeout=_PEACE_SECONDS,
        )
    except AssertionError:
        worker.signal(signal.SIGUSR1)  # makes Celery log what each thread does
        with suppress(AssertionError):
            await wait_until(
                lambda: b"MainThread\n=" in worker.log_path.read_bytes()[size:], description="its threads"
            )
        return f"{worker.name} is alive and takes no tasks:\n{worker.log_path.read_text()[-4000:]}"
    return ""


def _make_due(broker: redis.Redis) -> None:
    """Make the broker hand out the messages of killed workers again, without waiting for the visibility
    timeout."""
    for tag in broker.zrange("unacked_index", 0, -1):
        broker.zadd("unacked_index", {tag: 1}, xx=True)
