"""What it brings and costs that checkpoints of a session share what they have in common."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from benchmarks.bench import Bench, new_manager
from benchmarks.calls import AGENT, in_groups
from benchmarks.talk import checkpoint_of, talk
from benchmarks.timing import Result, Work, alternate, calls
from manager import SessionManager
from manager.json_text import as_json

_TURNS, _SESSIONS = 50, 40
#: How often each is read.
_READS = 10
_TALK = talk(_TURNS)

_Call = Callable[[SessionManager, str], Awaitable[Any]]


async def sharing_cases(bench: Bench) -> AsyncIterator[Result]:
    """The last of some turns saved, and read, against the same manager that stores each checkpoint whole."""
    async with new_manager(bench.server, share_above_bytes=1 << 30) as whole:
        for turn in (1, 10, _TURNS):
            data = checkpoint_of(_TALK, turn)

            async def save(manager: SessionManager, session_id: str, data: Any = data) -> None:
                await manager.save_checkpoint(session_id, data)

            async def latest(manager: SessionManager, session_id: str) -> None:
                await manager.get_latest_checkpoint(session_id)

            named = f"of turn {turn}, {len(as_json(data)):,} bytes"
            yield await _compared(bench, whole, f"save_checkpoint {named}", save, turn - 1, 1)
            yield await _compared(bench, whole, f"get_latest_checkpoint {named}", latest, turn, _READS)


async def _sessions(manager: SessionManager, count: int, turns: int) -> list[str]:
    """Conversations of so many turns, a checkpoint for each."""
    created = [(await manager.create_session("user", AGENT)).session_id for _ in range(count)]
    for turn in range(1, turns + 1):
        data = checkpoint_of(_TALK, turn)
        await in_groups(lambda session_id, data=data: manager.save_checkpoint(session_id, data), created)
    return created


async def _compared(
    bench: Bench, whole: SessionManager, case: str, call: _Call, turns: int, times: int
) -> Result:
    """Each of some conversations, of so many turns, called for so many times."""

    async def side(manager: SessionManager) -> Work:
        return calls(partial(call, manager), await _sessions(manager, _SESSIONS, turns) * times, 1)

    sides = [partial(side, whole), partial(side, bench.manager)]
    whole_seconds, our_seconds = await alternate(bench.sizes.rounds, sides)
    bench.server.clean()
    count = _SESSIONS * times
    return Result(case, "each stored whole", whole_seconds, our_seconds, operations=count, width=1)
