"""Sessions that expire while many processes refresh them.

Expiry follows the server's clock, in milliseconds; times here follow the callers' clocks on the same machine.
So assertions about times leave out whatever lies within 2 ms.
"""

import asyncio
from collections.abc import Callable, Iterator

from agent_runtime.manager import SessionManager, Settings
from tests.concurrency.crew import Crew
from tests.concurrency.history import UNKNOWN, History, Operation
from tests.concurrency.linearizability import assert_linearizable
from tests.concurrency.member import Member
from tests.concurrency.specifications import life_step

Rounds = Callable[..., Iterator[Settings]]

_TTL_SECONDS = 0.03

_SLACK_SECONDS = 0.002


async def _refresh_late(member: Member, session_ids: list[str]) -> None:
    """Refresh and look at about the time at which a session expires, until all have expired."""
    living = list(session_ids)
    while living:
        member.random.shuffle(living)
        for session_id in living[:]:
            ask = member.refresh if member.random.random() < 0.5 else member.exists
            if not await ask(session_id):
                await asyncio.gather(member.refresh(session_id), member.exists(session_id))
                living.remove(session_id)
        await asyncio.sleep(member.random.uniform(0.5, 1.05) * _TTL_SECONDS)


async def test_a_session_lives_as_long_as_its_last_refresh_said_and_never_comes_back(
    crew: Crew, rounds: Rounds
) -> None:
    for settings in rounds(5):
        history: History = []
        async with SessionManager.from_settings(settings) as patient:
            sessions = [await patient.create_session("ann", "bot") for _ in range(8)]
        ids = [each.session_id for each in sessions]
        history = await crew.run(_refresh_late, settings, ids, ttl=_TTL_SECONDS)
        for session_id in ids:
            asked = [each for each in history if each.arguments == (session_id,)]
            assert_linearizable([*asked, _expiry(asked)], True, life_step)
            _assert_lifetime(asked)


def _expiry(asked: History) -> Operation:
    """Return the expiry as an operation: it happens at some time, and nobody is told."""
    return asked[0]._replace(name="expire", result=UNKNOWN, responded=float("inf"))


def _assert_lifetime(asked: History) -> None:
    extended = [each for each in asked if each.name == "refresh" and each.result]
    for each in asked:
        before = [it for it in extended if it.responded < each.invoked]
        lives_until = max((it.invoked + _TTL_SECONDS - _SLACK_SECONDS for it in before), default=0.0)
        if each.responded < lives_until:
            assert each.result is True, f"{each} within the lifetime given by {before}"
    # The first refresh ends the long lifetime that the session was created with.
    began = min((it.responded for it in extended), default=float("inf"))
    for each in asked:
        possible = [it for it in extended if it.invoked < each.responded]
        ends_by = max((it.responded + _TTL_SECONDS + _SLACK_SECONDS for it in possible), default=0.0)
        if each.invoked > max(ends_by, began):
            assert each.result is False, f"{each} is beyond the lifetime given"
