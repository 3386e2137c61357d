"""A process that calls all the time: `python -m tests.chaos.callers NAME SEED JOURNAL`.

On SIGTERM, the process begins no more rounds and ends when its open rounds are done.
"""

import asyncio
import random
import signal
import sys
from collections import deque
from pathlib import Path

from agent_runtime.manager import SessionManager
from tests.chaos.calling import Caller
from tests.chaos.journal import Journal
from tests.chaos.rounds import forget, play

#: Rounds that one process has open at a time.
_ROUNDS_AT_ONCE = 3

#: Rounds whose sessions stay. Sessions of older rounds are deleted, or in some hours there would be millions.
_ROUNDS_KEPT = 250


async def _main(name: str, seed: str, journal: Journal) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    rng = random.Random(seed)
    numbers = iter(range(sys.maxsize))
    played: deque[Caller] = deque()

    async def play_rounds() -> None:
        while not stopping.is_set():
            caller = Caller(manager, journal, rng, f"{name}-{next(numbers)}")
            await play(caller)
            played.append(caller)
            if len(played) > _ROUNDS_KEPT:
                await forget(played.popleft())

    async with SessionManager.from_settings() as manager, asyncio.TaskGroup() as group:
        for _ in range(_ROUNDS_AT_ONCE):
            group.create_task(play_rounds())


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], Journal(Path(sys.argv[3]))))
