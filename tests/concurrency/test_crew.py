"""A crew has many processes, and they are at work at the same time."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

import pytest

from agent_runtime.manager import Settings
from tests.concurrency.crew import Crew
from tests.concurrency.history import UNKNOWN, History
from tests.concurrency.member import Member

Rounds = Callable[..., Iterator[Settings]]


async def _look(member: Member, times: int) -> None:
    for _ in range(times) if times else count():
        await member.exists(f"sess_{os.getpid()}")


async def _fail(member: Member) -> None:
    if member.number == 2:
        raise LookupError("on purpose")


async def test_members_are_processes_and_their_calls_overlap(crew: Crew, settings: Settings) -> None:
    """A round now and then may give one process no processor until the others have ended."""
    alone = {0, 1, 2, 3}
    for _ in range(20):
        history = await crew.run(_look, settings, 50)
        assert len({each.arguments for each in history}) == 4
        alone -= {
            one for one in alone if any(_overlap(history, one, other) for other in range(4) if other != one)
        }
        if not alone:
            return
    raise AssertionError(f"never at work at the same time as another: {alone}")


async def test_an_error_in_a_process_is_one_of_the_test(crew: Crew, settings: Settings) -> None:
    with pytest.raises(AssertionError, match="LookupError: on purpose"):
        await crew.run(_fail, settings)


async def test_a_killed_process_leaves_its_journal_and_is_replaced(crew: Crew, settings: Settings) -> None:
    history = await crew.run(
        _look_until_killed, settings, meanwhile=partial(crew.kill_after, 1, operations=5)
    )
    mine = [each for each in history if each.member == 1]
    assert sum(each.answered for each in mine) >= 5
    assert [each.result for each in mine[:-1]] == [False] * (len(mine) - 1)
    assert mine[-1].result in (False, UNKNOWN)
    assert len({each.member for each in await crew.run(_look, settings, 1)}) == 4


async def _look_until_killed(member: Member) -> None:
    await _look(member, 0 if member.number == 1 else 10)


def _overlap(history: History, one: int, other: int) -> bool:
    return any(
        mine.invoked < theirs.responded and theirs.invoked < mine.responded
        for mine in history
        for theirs in history
        if (mine.member, theirs.member) == (one, other)
    )
