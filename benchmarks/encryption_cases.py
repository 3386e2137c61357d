"""Cost of encryption: the same calls with keys and without, in one run."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from agent_runtime.manager import SessionManager
from benchmarks.bench import Bench, new_manager
from benchmarks.calls import AGENT, METADATA
from benchmarks.talk import conversation
from benchmarks.timing import Result, Work, alternate, calls

_BYTES = 2_048
_KEYS = json.dumps({"k1": base64.b64encode(bytes(range(32))).decode()})

_Call = Callable[[SessionManager, str], Awaitable[Any]]


async def encryption_cases(bench: Bench) -> AsyncIterator[Result]:
    """Compare saving and reading 2 KB with keys and without. The users' keys lie on the same server."""
    data = conversation(_BYTES)

    async def save(manager: SessionManager, session_id: str) -> None:
        await manager.save_checkpoint(session_id, data)

    async def latest(manager: SessionManager, session_id: str) -> None:
        await manager.get_latest_checkpoint(session_id)

    for kind, changes in (("encrypted", {}), ("under users' keys", {"user_keys_url": bench.server.url})):
        async with new_manager(bench.server, encryption_keys=_KEYS, **changes) as keyed:
            for width in (1, 100):
                for name, call in (("save_checkpoint", save), ("get_latest_checkpoint", latest)):
                    yield await _compared(bench, keyed, f"{name} 2 KB {kind}", call, width)
        bench.server.clean()


async def _compared(bench: Bench, keyed: SessionManager, case: str, call: _Call, width: int) -> Result:
    count = bench.count_for(width)

    async def side(manager: SessionManager) -> Work:
        session = await manager.create_session("user", AGENT, METADATA)
        await manager.save_checkpoint(session.session_id, conversation(_BYTES))
        return calls(partial(call, manager), [session.session_id] * count, width)

    sides = [partial(side, bench.manager), partial(side, keyed)]
    plain_seconds, keyed_seconds = await alternate(bench.sizes.rounds, sides)
    return Result(case, "without keys", plain_seconds, keyed_seconds, operations=count, width=width)
