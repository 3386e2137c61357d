"""When keys expire, by the server's clock."""

import redis

from tests.support.wait_until import wait_until_blocking

#: A time to live is rounded to milliseconds, and so is the moment that it is added to.
MOMENT_MS = 2


def expiries_ms(client: redis.Redis, *keys: str) -> list[int]:
    """Unix times at which these keys expire, milliseconds, to within `MOMENT_MS`; of those that are not
    there -2, and of those that stay -1.
    """
    found: list[int] = []

    def read() -> bool:
        # Before 7.4 each command of a transaction looks at the clock, and a busy machine may stop the server
        # between two of them: for 8 ms once. Such a reading is made again.
        pipeline = client.pipeline(transaction=True)
        pipeline.time()
        for key in keys:
            pipeline.pttl(key)
        pipeline.time()
        before, *left, after = pipeline.execute()
        found[:] = [ms if ms < 0 else before[0] * 1000 + before[1] // 1000 + ms for ms in left]
        return (after[0] - before[0]) * 1_000_000 + after[1] - before[1] < 1_000

    wait_until_blocking(read, description="the server to look at these keys in one millisecond")
    return found
