"""Deletions of the same sessions, users and agents by many processes, while others create."""

from collections.abc import Callable, Iterator

import pytest

from agent_runtime.manager import SessionManager, Settings
from tests.concurrency.crew import Crew
from tests.concurrency.history import results
from tests.concurrency.judgements import assert_before_gone_and_after_there, assert_receipts
from tests.concurrency.linearizability import assert_linearizable
from tests.concurrency.member import Member
from tests.concurrency.specifications import sessions_step
from tests.support.sessions import create_sessions, save_turns

Rounds = Callable[..., Iterator[Settings]]


async def _delete_each(member: Member, session_ids: list[str]) -> None:
    for session_id in session_ids:
        await member.delete(session_id)


async def _delete_each_checkpoint(member: Member, session_id: str, checkpoint_ids: list[str]) -> None:
    for checkpoint_id in checkpoint_ids:
        await member.delete_checkpoint(session_id, checkpoint_id)
    await member.clear(session_id)


async def _create_or_delete_all(member: Member, operations: int) -> None:
    for number in range(operations):
        created = await member.create("ann", "bot")
        if (member.number == 0 and number % 4 == 3) or (member.number == 1 and number % 4 == 1):
            await member.delete_user("ann")
        elif member.number == 2 and number % 2:
            await member.delete(created)
        elif member.number == 3:
            await member.of_user("ann")
            await member.exists(created)


async def _create_or_delete_an_agent(member: Member, operations: int) -> None:
    for number in range(operations):
        for user in range(4):
            await member.create(f"user_{user}_{member.number}", "bot")
        if member.number < 2 and number % 5 == 4:
            await member.delete_agent("bot")


async def _delete_users_and_agents(member: Member, operations: int) -> None:
    for number in range(operations):
        name = str(number % 3)
        for other in "012":
            await member.create(f"user_{other}", f"agent_{name}")
        if member.number % 2:
            await member.delete_user(f"user_{name}")
        else:
            await member.delete_agent(f"agent_{name}")


async def test_of_many_deletions_of_one_session_exactly_one_is_answered_true(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(4):
        async with SessionManager.from_settings(settings) as manager:
            ids = [each.session_id for each in await create_sessions(manager, 60)]
        history = await crew.run(_delete_each, settings, ids)
        assert sorted(each.arguments[0] for each in history if each.result is True) == sorted(ids)


async def test_of_many_deletions_of_one_checkpoint_exactly_one_is_answered_true(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(4):
        async with SessionManager.from_settings(settings) as manager:
            [session] = await create_sessions(manager, 1)
            saved = await save_turns(manager, session.session_id, 40)
        history = await crew.run(_delete_each_checkpoint, settings, session.session_id, saved[:30])
        deleted = [each.arguments[1] for each in history if each.result is True]
        assert len(deleted) == len(set(deleted))
        assert len(deleted) + sum(results(history, "clear")) == 40


async def test_creations_and_deletions_of_one_user_are_linearizable_with_their_counts(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(6):
        history = await crew.run(_create_or_delete_all, settings, 16)
        assert any(results(history, "delete_user"))
        assert_linearizable(history, frozenset(), sessions_step)
        async with SessionManager.from_settings(settings) as manager:
            live = len(await manager.get_sessions_by_user("ann"))
            await assert_receipts(manager, deleted=sum(results(history, "delete_user")))
        deleted = sum(results(history, "delete_user", "delete"))
        assert len(results(history, "create")) == deleted + live


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_deletion_takes_what_was_there_before_it_and_leaves_what_comes_after_it(
    crew: Crew, rounds: Rounds, partitions: int
) -> None:
    for settings in rounds(3, partitions=partitions):
        history = await crew.run(_create_or_delete_an_agent, settings, 15)
        async with SessionManager.from_settings(settings) as manager:
            live = {each.session_id for each in await manager.get_sessions_by_agent("bot")}
        assert len(results(history, "create")) == sum(results(history, "delete_agent")) + len(live)
        assert_before_gone_and_after_there(history, live)


async def test_a_session_of_a_deleted_user_and_a_deleted_agent_counts_once(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(4):
        history = await crew.run(_delete_users_and_agents, settings, 12)
        async with SessionManager.from_settings(settings) as manager:
            live = await manager.get_active_session_count()
            assert live == sum([len(await manager.get_sessions_by_user(f"user_{n}")) for n in "012"])
            deleted = sum(results(history, "delete_user", "delete_agent"))
            await assert_receipts(manager, deleted)
        assert len(results(history, "create")) == deleted + live
