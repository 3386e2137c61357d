"""Many processes at work on one job."""

from collections.abc import Callable, Iterator

import pytest

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.jobs import JobState
from tests.concurrency.crew import Crew
from tests.concurrency.history import results
from tests.concurrency.judgements import assert_receipts, end_open_jobs
from tests.concurrency.member import Member
from tests.support.jobs import open_pruning, open_sweep, receipts_of
from tests.support.sessions import create_sessions, let_expire, save_turns

Rounds = Callable[..., Iterator[Settings]]


async def _work(member: Member, job_id: str) -> None:
    await member.work(job_id)


async def _join_or_work(member: Member, requests: int) -> None:
    """Two processes ask for the same deletion again and again, two work on it."""
    for _ in range(requests):
        if member.number < 2:
            await member.create(f"user_{member.random.randint(0, 3)}", "bot")
            await member.revoke_agent("bot")
        else:
            newest, *_ = (await member.manager.jobs.list(limit=1)).jobs
            await member.work(newest.job_id)


@pytest.mark.parametrize("partitions", [1, 4])
async def test_all_processes_on_one_deletion_count_each_session_once(
    crew: Crew, rounds: Rounds, partitions: int
) -> None:
    for settings in rounds(3, partitions=partitions, slice_seconds=0.01):
        async with SessionManager.from_settings(settings) as manager:
            for user in range(8):
                await create_sessions(manager, 60, f"user_{user}")
            job_id = await manager.revoke_agent_sessions("bot")
            history = await crew.run(_work, settings, job_id)
            progress = await manager.jobs.progress(job_id)
            assert (progress.state, progress.done, progress.removed) == (JobState.DONE, 480, 480)
            assert results(history, "work") == [480] * 4
            await assert_receipts(manager, deleted=480)
            assert [receipt.residue.sessions for receipt in await receipts_of(manager)] == [0]


@pytest.mark.parametrize("partitions", [1, 4])
async def test_requests_that_join_while_others_work_are_counted_exactly(
    crew: Crew, rounds: Rounds, partitions: int
) -> None:
    for settings in rounds(4, partitions=partitions, slice_seconds=0.01):
        async with SessionManager.from_settings(settings) as manager:
            await create_sessions(manager, 20)
            await manager.revoke_agent_sessions("bot")
            history = await crew.run(_join_or_work, settings, 50)
            await end_open_jobs(manager)
            assert await manager.get_active_session_count() == 0
            await assert_receipts(manager, deleted=20 + len(results(history, "create")))
        asked = results(history, "revoke_agent")
        assert len(set(asked)) < len(asked), "some have joined"


async def test_all_processes_on_one_sweep_and_one_pruning_count_each_once(crew: Crew, rounds: Rounds) -> None:
    for settings in rounds(2, slice_seconds=0.01):
        async with SessionManager.from_settings(settings) as manager:
            sessions = await create_sessions(manager, 40)
            for session in sessions[:20]:
                await save_turns(manager, session.session_id, 6)
            await let_expire(manager, *sessions[20:])
            sweep, pruning = await open_sweep(manager), await open_pruning(manager, keep_last=2)
            await crew.run(_work, settings, sweep)
            await crew.run(_work, settings, pruning)
            assert (await manager.jobs.progress(sweep)).removed == 20
            assert (await manager.jobs.progress(pruning)).removed == 20 * 4
            assert await manager.get_active_session_count() == 20
