"""One run: the stack is started, broken for a time, left in peace until it is done, and judged."""

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

#: How long the stack may take to be done once it is left in peace, seconds.
_PEACE_SECONDS = 90

#: The longest time that the server stands still, in runs of up to so many seconds and in longer ones.
_SHORT_RUN_SECONDS, _SHORT_FREEZE_SECONDS, _LONG_FREEZE_SECONDS = 300, 4.0, 30.0


class Run(NamedTuple):
    """What came of it."""

    seed: str
    seconds: float
    faults: Counter[str]
    restarts: Counter[str]
    exits: Counter[str]
    expected: Expected
    found: Found
    violations: list[str]
    #: Where journals and logs were kept, if something was violated.
    kept: Path | None


async def run_chaos(seed: str, seconds: float) -> Run:
    """Breaks a stack of its own for so many seconds. Whether all promises were kept is in `violations`."""
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
    """Lets callers and jobs come to their end; what did not."""
    for caller in stack.callers:
        caller.signal(signal.SIGTERM)
    problems = [await _until_ended(caller) for caller in stack.callers]
    sizes = [worker.log_path.stat().st_size for worker in stack.workers]
    _make_due(broker)
    done = await _until_done(manager)
    problems += [await _until_heard_of(*each) for each in zip(stack.workers, sizes, strict=True)]
    for process in [*stack.beats, *stack.workers]:
        problems.append("" if process.status is None else f"{process.name} is dead")
    stack.end_beats()  # not before, for it is Beat's ticks that show that workers listen
    if done:  # and the last sweeps that they asked for, one of which may have no message
        await _until_done(manager, rings=True)
    return [problem for problem in problems if problem]


async def _until_done(manager: SessionManager, *, rings: bool = False) -> bool:
    """Whether nothing is left to do, once that is so or takes too long; the verdict says what is left.

    Args:
        rings: for what nobody works on, as Beat has workers do.
    """
    publisher = Publisher(manager.settings)

    async def done() -> bool:
        if rings:
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
    """A worker that is alive and takes no tasks is as good as none. Beat gives it some every second."""
    try:
        await wait_until(
            lambda: b"received" in worker.log_path.read_bytes()[size:],
            description=f"{worker.name} to take a task",
            timeout=_PEACE_SECONDS,
        )
    except AssertionError:
        worker.signal(signal.SIGUSR1)  # Celery then logs what each thread does
        with suppress(AssertionError):
            await wait_until(
                lambda: b"MainThread\n=" in worker.log_path.read_bytes()[size:], description="its threads"
            )
        return f"{worker.name} is alive and takes no tasks:\n{worker.log_path.read_text()[-4000:]}"
    return ""


def _make_due(broker: redis.Redis) -> None:
    """Has the broker hand out again what killed workers held, without waiting for the visibility timeout."""
    for tag in broker.zrange("unacked_index", 0, -1):
        broker.zadd("unacked_index", {tag: 1}, xx=True)
