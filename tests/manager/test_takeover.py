"""A deletion takes over what earlier ones of the same user or agent have revoked, whatever became of them."""

from collections.abc import Callable

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobState, JobStateError, new_job_id
from tests.support.jobs import receipts_of
from tests.support.keyspace import snapshot
from tests.support.sessions import create_sessions, save_turns

Opener = Callable[..., SessionManager]

#: What may have become of the earlier deletion.
_STATES = ("scheduled", "queued", "running", "paused", "cancelled", "failed", "lost")


async def _bring_into(manager: SessionManager, raw: redis.Redis, whose: str, state: str) -> str:
    """Revoke three sessions of ann with the agent bot, of which one is reclaimed if the job is running."""
    for session in await create_sessions(manager, 3):
        await save_turns(manager, session.session_id, 2)
    revoke = manager.revoke_user_sessions if whose == "user" else manager.revoke_agent_sessions
    job_id = await revoke("ann" if whose == "user" else "bot", grace=3_600 if state == "scheduled" else 0)
    job = await manager.jobs.read(job_id)
    if state == "running":
        run = await manager.jobs._runner._begin(job_id, 0, None)
        assert run is not None
        for part in job.parts:
            await job.spec.batch(manager._context.client, part.keys, job_id, 1)
    elif state in ("paused", "cancelled"):
        await manager.jobs.control(job_id, "pause" if state == "paused" else "cancel")
    elif state == "failed":
        raw.hset(job.home.keys.job(job_id), mapping={"state": "failed", "error": "why"})
        raw.zrem(job.home.keys.jobs, job_id)
    elif state == "lost":  # evicted, or left behind by a fail-over
        for part in job.parts:
            raw.delete(part.keys.job(job_id), part.keys.open_job(job.spec.name))
            raw.zrem(part.keys.jobs, job_id)
    return job_id


def _left(raw: redis.Redis, manager: SessionManager) -> list[bytes]:
    """Everything that lies in the store of sessions and their revocation."""
    kinds = (b"s", b"c", b"o", b"u", b"a", b"revoked", b"revocations")
    return [key for key in snapshot(raw, manager.settings.namespace) if key.split(b":")[2] in kinds]


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("whose", ["user", "agent"])
@pytest.mark.parametrize("state", _STATES)
async def test_a_direct_deletion_leaves_nothing_of_earlier_ones(
    open_manager: Opener, raw: redis.Redis, state: str, whose: str, partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    earlier = await _bring_into(manager, raw, whose, state)
    await create_sessions(manager, 2)
    delete = manager.delete_user_sessions if whose == "user" else manager.delete_agent_sessions
    is_at_work = state in ("queued", "running")  # and so counts itself what it has revoked
    assert await delete("ann" if whose == "user" else "bot") == (2 if is_at_work else 5)
    assert _left(raw, manager) == []
    assert [each.residue.sessions for each in await receipts_of(manager)] == [0]
    if state != "lost":
        if state in ("paused", "cancelled", "failed"):
            await manager.jobs.control(earlier, "resume")
        done = await manager.jobs.run(earlier)
        assert done.removed == (3 if is_at_work else 0)
        assert done.state is (JobState.SCHEDULED if state == "scheduled" else JobState.DONE)


@pytest.mark.parametrize("state", ["cancelled", "failed", "lost"])
async def test_a_deletion_by_a_job_leaves_nothing_of_earlier_ones(
    manager: SessionManager, raw: redis.Redis, state: str
) -> None:
    earlier = await _bring_into(manager, raw, "user", state)
    later = await manager.revoke_user_sessions("ann", new_job_id())
    assert (later == earlier) == (state != "lost")
    assert (await manager.jobs.progress(later)).total == 3
    assert (await manager.jobs.run(later)).removed == 3
    assert _left(raw, manager) == []


async def test_a_deletion_leaves_alone_what_a_later_one_has_revoked(
    manager: SessionManager, raw: redis.Redis
) -> None:
    earlier = await _bring_into(manager, raw, "user", "paused")
    raw.delete(manager._context.partitions.home.open_job((await manager.jobs.read(earlier)).spec.name))
    await create_sessions(manager, 2)
    later = await manager.revoke_user_sessions("ann", grace=3_600)
    assert later != earlier
    assert (await manager.jobs.progress(later)).total == 5
    await manager.jobs.control(earlier, "resume")
    assert (await manager.jobs.run(earlier)).removed == 3
    await manager.jobs.control(later, "undo")
    assert (await manager.jobs.run(later)).restored == 2


async def test_a_deletion_whose_sessions_a_later_one_reclaims_cannot_be_undone(
    manager: SessionManager, raw: redis.Redis
) -> None:
    """Else sessions would come back that the later one was to erase."""
    earlier = await _bring_into(manager, raw, "user", "scheduled")
    opened = await manager.jobs.open(manager.jobs.user_deletion("ann"), join=False)
    assert opened.added == 3
    with pytest.raises(JobStateError, match="has begun"):
        await manager.jobs.control(earlier, "undo")
    assert (await manager.jobs.run(opened.job_id)).removed == 3
    assert _left(raw, manager) == []
