"""Metadata of one session, merged, replaced and read by many processes."""

from collections.abc import Callable, Iterator

from agent_runtime.manager import SessionManager, Settings
from tests.concurrency.crew import Crew
from tests.concurrency.linearizability import assert_linearizable
from tests.concurrency.member import Member
from tests.concurrency.specifications import metadata_step

Rounds = Callable[..., Iterator[Settings]]


async def _merge_keys_of_my_own(member: Member, session_id: str, keys: int) -> None:
    for number in range(keys):
        await member.merge(session_id, {f"{member.number}_{number}": number})


async def _merge_the_same_keys_and_read(member: Member, session_id: str, operations: int) -> None:
    for number in range(operations):
        if member.random.random() < 0.4:
            await member.read_metadata(session_id)
        else:
            value = f"{member.number}_{number}"
            await member.merge(session_id, {"a": value, member.random.choice("bc"): value})


async def _merge_replace_and_read(member: Member, session_id: str, operations: int) -> None:
    for number in range(operations):
        value = f"{member.number}_{number}"
        dice = member.random.random()
        if dice < 0.3:
            await member.read_metadata(session_id)
        elif dice < 0.5:
            await member.replace(session_id, {"whole": value})
        else:
            await member.merge(session_id, {member.random.choice("abc"): value})


async def test_merges_of_different_keys_lose_nothing(crew: Crew, rounds: Rounds) -> None:
    for settings in rounds(3):
        async with SessionManager.from_settings(settings) as manager:
            session = await manager.create_session("ann", "bot")
            await crew.run(_merge_keys_of_my_own, settings, session.session_id, 60)
            found = await manager.get_session(session.session_id)
        assert found is not None
        assert found.metadata == {f"{member}_{number}": number for member in range(4) for number in range(60)}


async def test_merges_of_the_same_keys_and_reads_are_linearizable(crew: Crew, rounds: Rounds) -> None:
    for settings in rounds(4):
        async with SessionManager.from_settings(settings) as manager:
            session = await manager.create_session("ann", "bot")
        history = await crew.run(_merge_the_same_keys_and_read, settings, session.session_id, 40)
        assert_linearizable(history, frozenset(), metadata_step)


async def test_merges_and_replacements_of_the_whole_are_linearizable(crew: Crew, rounds: Rounds) -> None:
    for settings in rounds(4):
        async with SessionManager.from_settings(settings) as manager:
            session = await manager.create_session("ann", "bot")
        history = await crew.run(_merge_replace_and_read, settings, session.session_id, 40)
        assert_linearizable(history, frozenset(), metadata_step)
