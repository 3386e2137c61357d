"""A process of its own that creates sessions until it is refused, and prints how many it created.

Usage: python -m tests.support.fill_to_the_cap <attempts> <max_sessions>, settings from the environment.
"""

import asyncio
import sys

import redis

from agent_runtime.manager import SessionLimitError, SessionManager, load_settings


async def main(attempts: int, max_sessions: int) -> None:
    conn = redis.Redis.from_url(load_settings().redis_url)
    async with SessionManager(conn, max_sessions=max_sessions) as manager:
        calls = (manager.create_session(f"user_{number}", "bot") for number in range(attempts))
        answers = await asyncio.gather(*calls, return_exceptions=True)
    unexpected = [each for each in answers if isinstance(each, Exception)]
    unexpected = [each for each in unexpected if not isinstance(each, SessionLimitError)]
    assert not unexpected, unexpected
    sys.stdout.write(str(sum(not isinstance(answer, Exception) for answer in answers)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
