"""A key of the wrong type in the way of bulk work."""

import pytest
import redis

from manager import SessionManager, StoreRefusedError
from tests.support.sessions import create_sessions


async def test_a_batch_that_fails_loses_no_session(manager: SessionManager, raw: redis.Redis) -> None:
    first, second, _ = await create_sessions(manager, 3)
    key = manager._partitions.all[0].session(second.session_id)
    aside = key + b":aside"
    raw.rename(key, aside)
    raw.set(key, "not a hash", ex=60)
    job_id = await manager.revoke_user_sessions(first.user_id)

    with pytest.raises(StoreRefusedError, match="WRONGTYPE"):
        await manager.runner.run(job_id)
    assert await manager.get_session(first.session_id) is None
    raw.rename(aside, key)

    assert (await manager.runner.run(job_id)).removed == 3
    assert await manager.get_active_session_count() == 0
