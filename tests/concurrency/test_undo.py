"""Deletions that are undone while others create and delete."""

import asyncio
from collections.abc import Callable, Iterator

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.jobs import JobState, JobStateError
from tests.concurrency.crew import Crew
from tests.concurrency.history import results
from tests.concurrency.judgements import end_open_jobs
from tests.concurrency.member import Member
from tests.support.sessions import create_sessions

Rounds = Callable[..., Iterator[Settings]]


async def _revoke_and_undo(member: Member, rounds: int) -> None:
    """One process revokes and undoes; the others create."""
    for _ in range(rounds):
        await asyncio.gather(*(member.create("ann", "bot") for _ in range(8)))
        if member.number == 0:
            job_id = await member.revoke_user("ann", grace=60)
            await member.create("ann", "bot")
            await member.undo(job_id)
        if member.number < 2:
            await _finish_undo(member)


async def _undo_against_deletions(member: Member, rounds: int) -> None:
    """Two processes revoke and undo, one deletes the same user, and one an agent of that user."""
    for number in range(rounds):
        for agent in ("bot", "cat"):
            await member.create("ann", agent)
        if member.number < 2:
            job_id = await member.revoke_user("ann", grace=60)
            if job_id is not JobStateError and await member.undo(job_id) is JobState.UNDOING:
                await member.work(job_id)
        elif member.number == 2 and number % 3 == 2:
            await member.delete_user("ann")
        elif member.number == 3 and number % 3 == 1:
            await member.delete_agent("cat")


async def _work_or_undo(member: Member, job_id: str) -> None:
    """Two processes begin the deletion, two undo it: whoever is first decides."""
    if member.number % 2:
        await asyncio.sleep(member.random.uniform(0, 0.002))
        await member.undo(job_id)
    await member.work(job_id)


async def _finish_undo(member: Member) -> None:
    for job in (await member.manager.jobs.list()).jobs:
        if job.state is JobState.UNDOING:
            await member.work(job.job_id)


async def test_an_undo_brings_all_back_beside_what_was_created_meanwhile(crew: Crew, rounds: Rounds) -> None:
    for settings in rounds(4):
        history = await crew.run(_revoke_and_undo, settings, 5)
        assert results(history, "undo") == [JobState.UNDOING] * 5
        async with SessionManager.from_settings(settings) as manager:
            live = {each.session_id for each in await manager.get_sessions_by_user("ann")}
            assert live == {each.session_id for each in await manager.get_sessions_by_agent("bot")}
        assert live == set(results(history, "create"))


async def test_undos_against_deletions_leave_each_session_live_or_counted_as_deleted_once(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(6):
        history = await crew.run(_undo_against_deletions, settings, 12)
        assert JobState.UNDOING in results(history, "undo")
        async with SessionManager.from_settings(settings) as manager:
            await end_open_jobs(manager, undo=True)
            live = {each.session_id for each in await manager.get_sessions_by_user("ann")}
            by_agent = [await manager.get_sessions_by_agent(agent) for agent in ("bot", "cat")]
            removed = sum([job.removed for job in (await manager.jobs.list(limit=500)).jobs])
        assert live == {each.session_id for listed in by_agent for each in listed}
        assert len(results(history, "create")) == removed + len(live)


async def test_of_an_undo_and_a_worker_that_begins_the_first_decides_for_all_sessions(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(10, partitions=2, slice_seconds=0.001):
        async with SessionManager.from_settings(settings) as manager:
            for user in range(4):
                await create_sessions(manager, 60, f"user_{user}")
            job_id = await manager.revoke_agent_sessions("bot")
            history = await crew.run(_work_or_undo, settings, job_id)
            job = await manager.jobs.progress(job_id)
            live = await manager.get_active_session_count()
        undone = JobStateError not in results(history, "undo")
        assert job.state is (JobState.UNDONE if undone else JobState.DONE)
        assert (job.removed, live) == ((0, 240) if undone else (240, 0))
