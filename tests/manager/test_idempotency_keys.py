"""The same idempotency key is the same job, and no other."""

from collections.abc import Callable

import pytest
import redis

from agent_runtime.manager import InvalidArgumentError, SessionManager
from agent_runtime.manager.jobs import JobNotFoundError
from tests.support.keyspace import snapshot
from tests.support.sessions import create_sessions

Opener = Callable[..., SessionManager]


async def test_the_same_key_is_the_same_job_also_when_it_is_done(manager: SessionManager) -> None:
    await create_sessions(manager, 3)
    first = await manager.revoke_user_sessions("ann", idempotency_key="order 7")
    assert await manager.revoke_user_sessions("ann", idempotency_key="order 7") == first
    done = await manager.jobs.run(first)
    [new] = await create_sessions(manager, 1)
    assert await manager.revoke_user_sessions("ann", idempotency_key="order 7") == first
    assert await manager.jobs.progress(first) == done
    assert await manager.session_exists(new.session_id)
    assert await manager.revoke_user_sessions("ann", idempotency_key="order 8") != first


@pytest.mark.parametrize("partitions", [1, 4])
async def test_a_key_of_other_work_is_refused(
    open_manager: Opener, raw: redis.Redis, namespace: str, partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    for user in range(8):
        await create_sessions(manager, 1, f"user_{user}")
    job_id = await manager.revoke_user_sessions("user_0", idempotency_key="order 7")
    before = snapshot(raw, namespace)
    for user in range(1, 8):
        with pytest.raises(InvalidArgumentError, match="an idempotency key serves one job"):
            await manager.revoke_user_sessions(f"user_{user}", idempotency_key="order 7")
    with pytest.raises(InvalidArgumentError, match="an idempotency key serves one job"):
        await manager.revoke_agent_sessions("bot", idempotency_key="order 7")
    assert snapshot(raw, namespace) == before
    assert (await manager.jobs.run(job_id)).removed == 1


async def test_a_key_that_joined_leads_to_the_job_for_as_long_as_that_is_kept(
    manager: SessionManager, raw: redis.Redis
) -> None:
    await create_sessions(manager, 3)
    first = await manager.revoke_user_sessions("ann")
    assert await manager.revoke_user_sessions("ann", idempotency_key="order 7") == first
    await manager.jobs.run(first)
    assert await manager.revoke_user_sessions("ann", idempotency_key="order 7") == first
    # What time does.
    raw.delete(manager._context.partitions.home.job(first))
    await create_sessions(manager, 2)
    again = await manager.revoke_user_sessions("ann", idempotency_key="order 7")
    assert again != first
    assert (await manager.jobs.run(again)).removed == 2
    with pytest.raises(JobNotFoundError):
        await manager.jobs.progress(first)
