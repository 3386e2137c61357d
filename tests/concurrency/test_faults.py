"""Concurrent calls with processes killed in the middle, and with connections that break all the time."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import count

import pytest
import redis

from agent_runtime.manager import SessionLimitError, SessionManager, Settings
from agent_runtime.manager.jobs import JobState
from tests.concurrency.crew import Crew
from tests.concurrency.history import UNKNOWN, results
from tests.concurrency.judgements import (
    assert_before_gone_and_after_there,
    assert_listed_by_own_agent_alone,
    assert_receipts,
    end_open_jobs,
)
from tests.concurrency.linearizability import assert_linearizable
from tests.concurrency.member import Member
from tests.concurrency.specifications import Placed, cap_step, metadata_step, sessions_step
from tests.support.sessions import create_sessions

Rounds = Callable[..., Iterator[Settings]]

Cuts = Callable[[], Awaitable[None]]

_MAX = 6

_AGENTS = ["first", "second"]


def _turns(member: Member, operations: int) -> Iterator[int]:
    """Number the operations of a member. Process 0 goes on until it is killed."""
    return count() if member.number == 0 else iter(range(operations))


async def _merge_replace_and_read(member: Member, session_id: str, operations: int) -> None:
    for number in _turns(member, operations):
        value = f"{member.number}_{number}"
        change = member.replace if member.number == 0 and number % 2 else member.merge
        await change(session_id, {member.random.choice("ab"): value})
        await member.read_metadata(session_id)


async def _merge_my_own_key(member: Member, session_id: str, operations: int) -> None:
    for number in range(operations):
        # Repeat the call until it is answered, as callers are told to.
        while await member.merge(session_id, {str(member.number): number}) is UNKNOWN:
            pass
        await member.read_metadata(session_id)


async def _create_and_delete(member: Member, operations: int) -> None:
    mine: list[str] = []
    for number in range(operations):
        if mine and member.random.random() < 0.4:
            await member.delete(mine.pop())
        else:
            created = await member.create(f"user_{member.number}_{number}", "bot")
            if created not in (SessionLimitError, UNKNOWN):
                mine.append(created)
        await member.count()


async def _delete_each(member: Member, session_ids: list[str]) -> None:
    for session_id in session_ids:
        await member.delete(session_id)


async def _create_or_delete_the_agent(member: Member, operations: int) -> None:
    for number in _turns(member, operations):
        for user in range(4):
            await member.create(f"user_{user}", "bot")
        if member.number < 2 and number % 3 == 2:
            await member.delete_agent("bot")


async def _create_and_delete_the_agent_once(member: Member, operations: int) -> None:
    for number in range(operations):
        for user in range(4):
            await member.create(f"user_{user}", "bot")
        if number == member.number:
            await member.delete_agent("bot")


async def _hand_over_or_revoke(member: Member, session_ids: list[str], operations: int) -> None:
    for _ in _turns(member, operations):
        if member.number < 2:
            await member.work(await member.revoke_agent(member.random.choice(_AGENTS)))
            session_ids.append(await member.create("ann", "first"))
        else:
            await member.hand_over(member.random.choice(session_ids), member.random.choice(_AGENTS))
            await member.of_agent("second")


async def _work_slice_by_slice(member: Member, job_id: str) -> None:
    for _ in count():
        call = member.manager.jobs.run_slice(job_id)
        if await member.record("slice", call, job_id, take=lambda it: it.state) is JobState.DONE:
            return


async def test_what_a_killed_process_was_changing_has_happened_whole_or_not_at_all(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(4):
        async with SessionManager.from_settings(settings) as manager:
            session_id = (await manager.create_session("ann", "bot")).session_id
        kill = partial(crew.kill_after, 0, operations=15)
        history = await crew.run(_merge_replace_and_read, settings, session_id, 25, meanwhile=kill)
        assert_linearizable(history, frozenset(), metadata_step)


async def test_over_broken_connections_merges_of_different_keys_lose_nothing_and_reads_are_linearizable(
    crew: Crew, rounds: Rounds, cut_connections: Cuts
) -> None:
    for settings in rounds(4, connect_retries=5):
        async with SessionManager.from_settings(settings) as manager:
            session_id = (await manager.create_session("ann", "bot")).session_id
            history = await crew.run(_merge_my_own_key, settings, session_id, 40, meanwhile=cut_connections)
            found = await manager.get_session(session_id)
        assert found is not None
        assert found.metadata == {str(member): 39 for member in range(4)}
        assert_linearizable(history, frozenset(), metadata_step)


async def test_over_broken_connections_the_cap_is_never_exceeded_and_no_place_is_lost(
    crew: Crew, rounds: Rounds, cut_connections: Cuts
) -> None:
    for settings in rounds(4, connect_retries=5):
        history = await crew.run(
            _create_and_delete, settings, 30, max_sessions=_MAX, meanwhile=cut_connections
        )
        assert_linearizable(history, 0, cap_step(_MAX))
        async with SessionManager(
            redis.Redis.from_url(settings.redis_url), 60, _MAX, settings=settings
        ) as manager:
            for user in range(_MAX - await manager.get_active_session_count()):
                await manager.create_session(f"last_{user}", "bot")
            with pytest.raises(SessionLimitError):
                await manager.create_session("ann", "bot")


async def test_over_broken_connections_one_of_many_deletions_of_a_session_is_answered_true(
    crew: Crew, rounds: Rounds, cut_connections: Cuts
) -> None:
    for settings in rounds(4, connect_retries=5):
        async with SessionManager.from_settings(settings) as manager:
            sessions = await create_sessions(manager, 80)
        ids = [each.session_id for each in sessions]
        history = await crew.run(_delete_each, settings, ids, meanwhile=cut_connections)
        for session_id in ids:
            answers = [each.result for each in history if each.arguments == (session_id,)]
            assert answers.count(True) == 1 or (UNKNOWN in answers and True not in answers)


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_deletion_whose_caller_was_killed_is_completed_and_counts_each_session_once(
    crew: Crew, rounds: Rounds, partitions: int
) -> None:
    for settings in rounds(3, partitions=partitions):
        kill = partial(crew.kill_after, 0, operations=37)
        history = await crew.run(_create_or_delete_the_agent, settings, 12, meanwhile=kill)
        async with SessionManager.from_settings(settings) as manager:
            await end_open_jobs(manager)
            live = {each.session_id for each in await manager.get_sessions_by_agent("bot")}
            removed = sum([job.removed for job in (await manager.jobs.list(limit=500)).jobs])
            await assert_receipts(manager, removed)
        assert_before_gone_and_after_there(history, live)
        # One creation may have happened without an answer.
        assert 0 <= removed + len(live) - len(results(history, "create")) <= 1


@pytest.mark.parametrize("partitions", [1, 4])
async def test_over_broken_connections_deletions_leave_nothing_from_before_and_take_nothing_from_after(
    crew: Crew, rounds: Rounds, partitions: int, cut_connections: Cuts
) -> None:
    for settings in rounds(3, partitions=partitions, connect_retries=5):
        async with SessionManager.from_settings(settings) as manager:
            before = await create_sessions(manager, 20)
            history = await crew.run(
                _create_and_delete_the_agent_once, settings, 12, meanwhile=cut_connections
            )
            await end_open_jobs(manager)
            live = {each.session_id for each in await manager.get_sessions_by_agent("bot")}
            removed = sum([job.removed for job in (await manager.jobs.list(limit=500)).jobs])
            await assert_receipts(manager, removed)
        assert live.isdisjoint(each.session_id for each in before)
        assert_before_gone_and_after_there(history, live)
        # If the manager repeated a creation after its session was deleted, the session was made twice.
        assert removed + len(live) >= 20 + len(results(history, "create"))


async def test_hand_overs_against_a_process_killed_while_it_revokes_are_linearizable(
    crew: Crew, rounds: Rounds, raw: redis.Redis
) -> None:
    for settings in rounds(4):
        async with SessionManager.from_settings(settings) as manager:
            sessions = await create_sessions(manager, 6, agent_id="first")
            placed = frozenset(Placed(each.session_id, "ann", "first") for each in sessions)
            ids = [each.session_id for each in sessions]
            kill = partial(crew.kill_after, 0, operations=10)
            history = await crew.run(_hand_over_or_revoke, settings, ids, 16, meanwhile=kill)
            await end_open_jobs(manager)
            live = await manager.get_active_session_count()
            removed = sum([job.removed for job in (await manager.jobs.list(limit=500)).jobs])
        assert_linearizable([each for each in history if each.name != "work"], placed, sessions_step)
        assert 0 <= removed + live - 6 - len(results(history, "create")) <= 1
        await assert_listed_by_own_agent_alone(raw, settings, _AGENTS)


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_job_whose_workers_are_killed_and_cut_off_counts_each_session_once(
    crew: Crew, rounds: Rounds, partitions: int, cut_connections: Cuts
) -> None:
    async def kill_and_cut() -> None:
        await crew.kill_after(0, operations=2)
        await cut_connections()

    for settings in rounds(3, partitions=partitions, connect_retries=5, slice_seconds=0.001):
        async with SessionManager.from_settings(settings) as manager:
            for user in range(8):
                await create_sessions(manager, 150, f"user_{user}")
            job_id = await manager.revoke_agent_sessions("bot")
            history = await crew.run(_work_slice_by_slice, settings, job_id, meanwhile=kill_and_cut)
            progress = await manager.jobs.progress(job_id)
            assert (progress.state, progress.done, progress.removed) == (JobState.DONE, 1200, 1200)
            await assert_receipts(manager, deleted=1200)
        assert {each.member for each in history if each.answered} == {0, 1, 2, 3}
