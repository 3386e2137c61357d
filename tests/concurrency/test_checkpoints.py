"""Checkpoints of one session, saved, pinned, read and removed by many processes."""

from collections.abc import Callable, Iterator

from agent_runtime.manager import SessionManager, Settings
from tests.concurrency.crew import Crew
from tests.concurrency.history import results
from tests.concurrency.linearizability import assert_linearizable
from tests.concurrency.member import Member
from tests.concurrency.specifications import checkpoints_step, listed_order, newest_step

Rounds = Callable[..., Iterator[Settings]]


async def _save_and_read(member: Member, session_id: str, operations: int) -> None:
    for _ in range(operations):
        dice = member.random.random()
        if dice < 0.5:
            await member.save(session_id)
        elif dice < 0.8:
            await member.latest(session_id)
        else:
            await member.checkpoints(session_id)


async def _save_pin_and_delete(member: Member, session_id: str, operations: int) -> None:
    for _ in range(operations):
        found = await member.checkpoints(session_id)
        dice = member.random.random()
        if not found or dice < 0.6:
            await member.save(session_id, pin=member.random.random() < 0.3)
        elif dice < 0.99:
            action = member.random.choice([member.pin, member.unpin, member.delete_checkpoint])
            await action(session_id, member.random.choice(found))
        else:
            await member.clear(session_id)


async def _prune_while_others_save(member: Member, session_id: str, operations: int) -> None:
    pinned: list[str] = []
    for _ in range(operations):
        if member.number == 0:
            await member.prune(session_id, member.random.randint(0, 1))
            continue
        saved = await member.save(session_id, pin=member.random.random() < 0.5)
        if member.number == 1 and await member.pin(session_id, saved):
            pinned.append(saved)
        if member.number == 2:
            await member.latest(session_id)
        if member.number == 3:
            await member.prune(session_id, 1)
    assert set(pinned) <= set(await member.checkpoints(session_id))


async def test_saves_and_reads_are_those_of_a_list_that_only_grows(crew: Crew, rounds: Rounds) -> None:
    for settings in rounds(4):
        async with SessionManager.from_settings(settings) as manager:
            session_id = (await manager.create_session("ann", "bot")).session_id
            history = await crew.run(_save_and_read, settings, session_id, 40)
            assert_linearizable(history, (), checkpoints_step(), listed_order(history))
            moments = [each["created_at"] for each in await manager.list_checkpoints(session_id)]
        assert len(moments) == len(results(history, "save"))
        assert moments == sorted(set(moments)), "creation rises strictly"


async def test_a_bound_pins_and_deletions_leave_exactly_what_one_caller_would_leave(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(4, max_checkpoints=3):
        async with SessionManager.from_settings(settings) as manager:
            session_id = (await manager.create_session("ann", "bot")).session_id
        history = await crew.run(_save_pin_and_delete, settings, session_id, 25)
        assert True in results(history, "delete_checkpoint")
        assert_linearizable(history, (), checkpoints_step(3), listed_order(history))


async def test_pruning_never_takes_the_newest_nor_what_is_pinned_and_counts_exactly(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(4):
        async with SessionManager.from_settings(settings) as manager:
            session_id = (await manager.create_session("ann", "bot")).session_id
            first = await manager.save_checkpoint(session_id, {})
            history = await crew.run(_prune_while_others_save, settings, session_id, 40)
            left = {each["checkpoint_id"] for each in await manager.list_checkpoints(session_id)}
        saved = results(history, "save")
        assert sum(results(history, "prune")) == 1 + len(saved) - len(left)
        pinned = {each.arguments[1] for each in history if each.name == "pin" and each.result}
        pinned |= {each.result for each in history if each.name == "save" and each.arguments[1]}
        assert pinned <= left
        reads = [each for each in history if each.name in ("save", "latest")]
        assert_linearizable(reads, first, newest_step)
