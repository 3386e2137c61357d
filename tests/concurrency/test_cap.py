"""`max_sessions` under creations and deletions of many processes."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

from agent_runtime.manager import SessionLimitError, SessionManager, Settings
from agent_runtime.manager.keys import Partitions
from tests.concurrency.crew import Crew
from tests.concurrency.history import History, results
from tests.concurrency.linearizability import assert_linearizable
from tests.concurrency.member import Member
from tests.concurrency.specifications import cap_step

Rounds = Callable[..., Iterator[Settings]]

_MAX = 6


async def _create_and_delete(member: Member, operations: int) -> None:
    mine: list[str] = []
    for number in range(operations):
        if mine and member.random.random() < 0.4:
            await member.delete(mine.pop())
        elif member.random.random() < 0.2:
            await member.count()
        else:
            created = await member.create(f"user_{member.number}_{number}", "bot")
            if created is not SessionLimitError:
                mine.append(created)


async def _fill(member: Member) -> None:
    for number in count():
        if await member.create(f"user_{member.number}_{number}", "bot") is SessionLimitError and number > 200:
            return


async def test_the_cap_is_a_counter_that_is_never_over_and_refuses_only_when_full(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(4):
        history = await crew.run(_create_and_delete, settings, 40, max_sessions=_MAX)
        assert SessionLimitError in results(history, "create")
        assert_linearizable(history, 0, cap_step(_MAX))


async def test_in_each_partition_the_share_of_the_cap_is_such_a_counter(crew: Crew, rounds: Rounds) -> None:
    for settings in rounds(3, partitions=2):
        history = await crew.run(_create_and_delete, settings, 40, max_sessions=2 * _MAX)
        for part in _by_partition(history, settings):
            assert_linearizable(part, 0, cap_step(_MAX))


async def test_processes_that_create_until_they_are_refused_use_every_place(
    crew: Crew, rounds: Rounds
) -> None:
    for settings, partitions in zip(rounds(3), (1, 3, 4), strict=False):
        changed = Settings(**(settings.model_dump() | {"partitions": partitions}))
        history = await crew.run(_fill, changed, max_sessions=250)
        created = [each for each in results(history, "create") if each is not SessionLimitError]
        assert len(set(created)) == 250
        shares = Counter(Partitions("x", partitions).of_session(each).number for each in created)
        assert max(shares.values()) - min(shares.values()) <= 1
        async with SessionManager.from_settings(changed) as manager:
            assert await manager.get_active_session_count() == 250


def _by_partition(history: History, settings: Settings) -> list[History]:
    """Group creations and deletions by partition. Counts cover all partitions and are left out."""
    partitions = Partitions(settings.namespace, settings.partitions)
    parts: list[History] = [[] for _ in partitions.all]
    for each in history:
        if each.name == "create":
            parts[partitions.of_user(each.arguments[0]).number].append(each)
        elif each.name == "delete":
            parts[partitions.of_session(each.arguments[0]).number].append(each)
    return parts
