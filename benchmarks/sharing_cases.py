"""Gain and cost of chunks shared between the checkpoints of a session."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from agent_runtime.manager import SessionManager
from agent_runtime.manager.json_text import as_json
from benchmarks.bench import Bench, new_manager
from benchmarks.calls import AGENT, in_groups
from benchmarks.talk import checkpoint_of, talk
from benchmarks.timing import Result, Side, Work, alternate, calls

_TURNS, _SESSIONS = 50, 20
#: Number of reads of each checkpoint.
_READS = 10
_TALK = talk(_TURNS)

_Call = Callable[[SessionManager, str], Awaitable[Any]]


async def sharing_cases(bench: Bench) -> AsyncIterator[Result]:
    """Yield results for saving and reading the last checkpoint of a conversation, against a manager that
    stores each whole.

    The checkpoint is read again by the same process, and for the first time by another.
    """
    settings: list[dict[str, Any]] = [{"dedupe_above_bytes": 1 << 30}, {}]
    async with new_manager(bench.server, **settings[0]) as whole, AsyncExitStack() as opened:
        for turn in (1, 10, _TURNS):
            data = checkpoint_of(_TALK, turn)

            async def save(manager: SessionManager, session_id: str, data: Any = data) -> None:
                await manager.save_checkpoint(session_id, data)

            async def latest(manager: SessionManager, session_id: str) -> None:
                await manager.get_latest_checkpoint(session_id)

            named = f"of turn {turn}, {len(as_json(data)):,} bytes"
            managers = whole, bench.manager
            begun = [partial(_saves, save, manager, turn - 1) for manager in managers]
            yield await _compared(bench, f"save_checkpoint {named}", begun, 1)
            whole_talks = [await _sessions(manager, turn) * _READS for manager in managers]
            reads = [partial(_reads, latest, *each) for each in zip(managers, whole_talks, strict=True)]
            yield await _compared(bench, f"get_latest_checkpoint {named}", reads, _READS)
            firsts = [
                partial(_first_reads, latest, partial(new_manager, bench.server, **each), opened, session_ids)
                for each, session_ids in zip(settings, whole_talks, strict=True)
            ]
            yield await _compared(bench, f"get_latest_checkpoint {named}, first read", firsts, 1)
            bench.server.clean()


async def _sessions(manager: SessionManager, turns: int) -> list[str]:
    """Create conversations of so many turns, with a checkpoint for each turn."""
    created = [(await manager.create_session("user", AGENT)).session_id for _ in range(_SESSIONS)]
    for turn in range(1, turns + 1):
        data = checkpoint_of(_TALK, turn)
        await in_groups(lambda session_id, data=data: manager.save_checkpoint(session_id, data), created)
    return created


async def _saves(call: _Call, manager: SessionManager, turns: int) -> Work:
    """Return the work of saving one more turn in each conversation."""
    return calls(partial(call, manager), await _sessions(manager, turns), 1)


async def _reads(call: _Call, manager: SessionManager, session_ids: list[str]) -> Work:
    return calls(partial(call, manager), session_ids, 1)


async def _first_reads(
    call: _Call, open_manager: Callable[[], SessionManager], opened: AsyncExitStack, session_ids: list[str]
) -> Work:
    """Return the work of reading each conversation by a process with empty caches."""
    manager = await opened.enter_async_context(open_manager())
    await manager.session_exists(session_ids[0])  # open the connection
    return calls(partial(call, manager), session_ids[:_SESSIONS], 1)


async def _compared(bench: Bench, case: str, sides: list[Side], times: int) -> Result:
    whole_seconds, our_seconds = await alternate(bench.sizes.rounds, sides)
    count = _SESSIONS * times
    return Result(case, "each stored whole", whole_seconds, our_seconds, operations=count, width=1)
