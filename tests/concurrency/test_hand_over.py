"""Sessions handed from agent to agent, while both agents and the user are deleted."""

from collections.abc import Callable, Iterator

import redis

from agent_runtime.manager import SessionManager, Settings
from tests.concurrency.crew import Crew
from tests.concurrency.history import History, results
from tests.concurrency.judgements import assert_listed_by_own_agent_alone, assert_receipts
from tests.concurrency.linearizability import assert_linearizable
from tests.concurrency.member import Member
from tests.concurrency.specifications import Placed, sessions_step

Rounds = Callable[..., Iterator[Settings]]

_AGENTS = ["first", "second", "third"]


async def _hand_over_and_revoke(member: Member, session_ids: list[str], operations: int) -> None:
    """Half of the processes hand over all the time, the others revoke, reclaim and look."""
    for number in range(operations):
        if member.number % 2:
            await member.hand_over(member.random.choice(session_ids), member.random.choice(_AGENTS))
            continue
        session_ids.append(await member.create("ann", member.random.choice(_AGENTS)))
        await member.of_agent(member.random.choice(_AGENTS))
        if number % 4 == 3:
            await member.work(await member.revoke_agent(member.random.choice(_AGENTS)))


async def _hand_all_over_once(member: Member, session_ids: list[str]) -> None:
    """Three processes hand every session to another agent, while the fourth deletes the first agent."""
    if member.number == 0:
        await member.delete_agent("first")
        return
    for session_id in session_ids[member.number - 1 :: 3]:
        await member.hand_over(session_id, "second")


async def _hand_to_and_fro(member: Member, session_ids: list[str], operations: int) -> None:
    for number in range(operations):
        session_id = session_ids[number % len(session_ids)]
        if member.number == 0 and number % 10 == 9:
            await member.delete_user("ann" if number % 20 == 9 else "bob")
        elif member.number == 1 and number % 10 == 4:
            await member.delete_agent(_AGENTS[number % 3])
        else:
            await member.hand_over(session_id, member.random.choice(_AGENTS))


async def test_hand_overs_and_revocations_of_agents_are_linearizable(
    crew: Crew, rounds: Rounds, raw: redis.Redis
) -> None:
    answers: set[object] = set()
    for settings in rounds(6):
        async with SessionManager.from_settings(settings) as manager:
            placed = [await _place(manager, "ann", "first") for _ in range(6)]
        ids = [each.session_id for each in placed]
        history = await crew.run(_hand_over_and_revoke, settings, ids, 16)
        answers |= set(results(history, "hand_over"))
        observed = [each for each in history if each.name != "work"]
        assert_linearizable(observed, frozenset(placed), sessions_step)
        await assert_listed_by_own_agent_alone(raw, settings, _AGENTS)
    assert {True, False} <= answers


async def test_a_session_handed_over_before_its_first_agent_was_deleted_stays_and_the_others_go(
    crew: Crew, rounds: Rounds, raw: redis.Redis
) -> None:
    for settings in rounds(6):
        async with SessionManager.from_settings(settings) as manager:
            placed = [await _place(manager, "ann", "first") for _ in range(60)]
            history = await crew.run(_hand_all_over_once, settings, [each.session_id for each in placed])
            live = {each.session_id for each in await manager.get_sessions_by_user("ann")}
            assert live == {each.session_id for each in await manager.get_sessions_by_agent("second")}
        handed_over = {each.arguments[0] for each in history if each.name == "hand_over" and each.result}
        assert live == handed_over
        assert results(history, "delete_agent") == [60 - len(live)]
        _assert_order_of_moments(history)
        await assert_listed_by_own_agent_alone(raw, settings, _AGENTS)


async def test_with_deletions_of_users_and_agents_each_session_handed_about_counts_once(
    crew: Crew, rounds: Rounds, raw: redis.Redis
) -> None:
    for settings in rounds(4, partitions=2):
        async with SessionManager.from_settings(settings) as manager:
            placed = [await _place(manager, name, "first") for name in ("ann", "bob", "cat") * 20]
            history = await crew.run(_hand_to_and_fro, settings, [each.session_id for each in placed], 60)
            live = await manager.get_active_session_count()
            deleted = sum(results(history, "delete_user", "delete_agent"))
            await assert_receipts(manager, deleted)
        assert len(placed) == deleted + live
        await assert_listed_by_own_agent_alone(raw, settings, _AGENTS)


async def _place(manager: SessionManager, user_id: str, agent_id: str) -> Placed:
    session = await manager.create_session(user_id, agent_id)
    return Placed(session.session_id, user_id, agent_id)


def _assert_order_of_moments(history: History) -> None:
    [deletion] = [each for each in history if each.name == "delete_agent"]
    for each in history:
        if each.name == "hand_over" and each.responded < deletion.invoked:
            assert each.result is True
        if each.name == "hand_over" and each.invoked > deletion.responded:
            assert each.result is False
