"""Processes are killed, replaced, stopped and resumed, while callers and other processes are at work."""

import asyncio
import os
import random
import signal
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobState
from agent_runtime.tasks import SessionJobs
from tests.support.callers import Callers
from tests.support.jobs import finished, receipts_of
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until


async def test_processes_of_a_worker_killed_at_any_moment_cost_nothing(
    impatient: SessionManager, worker: CeleryProcess
) -> None:
    async with Callers(impatient) as callers:
        for _ in range(6):
            await asyncio.sleep(random.uniform(0.1, 0.4))
            if children := worker.children():
                with suppress(ProcessLookupError):  # ended since
                    os.kill(random.choice(children), signal.SIGKILL)
    await callers.check()
    assert worker.running
    await wait_until(lambda: _deaths(worker), description="the worker to have noticed")


def _deaths(worker: CeleryProcess) -> int:
    """Count the worker's processes that were killed."""
    return worker.log().count("exited with 'signal 9 (SIGKILL)'")


@pytest.mark.timeout(300)  # starts six workers, one after the other
async def test_workers_replaced_one_after_the_other_cost_nothing(
    manager: SessionManager, impatient: SessionManager, process_settings: dict[str, Any], beat: CeleryProcess
) -> None:
    await create_sessions(manager, 3_000)
    job = await SessionJobs(manager).delete_user_sessions("ann")
    with ExitStack() as running:
        older = running.enter_context(celery_worker(name="0", **process_settings))
        async with Callers(impatient) as callers:
            for number in range(1, 6):
                newer = celery_worker(name=str(number), **process_settings)
                await asyncio.to_thread(running.enter_context, newer)
                assert await asyncio.to_thread(older.terminate) == 0
                older = newer
        assert (await finished(job)).removed == 3_000
        await callers.check()


async def test_a_worker_that_was_thought_dead_counts_nothing_twice(
    manager: SessionManager, process_settings: dict[str, Any], beat: CeleryProcess
) -> None:
    await create_sessions(manager, 8_000)
    job = await SessionJobs(manager).delete_user_sessions("ann")

    async def done() -> int:
        progress = await job.progress()
        assert progress.state is not JobState.DONE, "too fast to be interrupted"
        return progress.done

    with celery_worker(name="first", **process_settings) as first:
        await wait_until(done, description="the job to have begun")
        first.freeze()
        frozen_at = await done()
        with celery_worker(name="second", **process_settings):

            async def taken_over() -> bool:
                return await done() > frozen_at + 500

            await wait_until(taken_over, description="the other to take over")
            first.thaw()
            assert (await finished(job)).removed == 8_000
    [receipt] = await receipts_of(manager)
    assert (receipt.sessions, receipt.residue.sessions) == (8_000, 0)
