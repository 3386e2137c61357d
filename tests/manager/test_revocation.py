"""Bulk deletion: gone at once for every reader, and nobody else's sessions with it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis

from agent_runtime.manager import InvalidArgumentError, SessionLimitError, SessionManager
from tests.support.keyspace import script_calls
from tests.support.sessions import create_sessions, save_turns
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]

BOTH = pytest.mark.parametrize("of", ["user", "agent"])
PARTITIONS = pytest.mark.parametrize("partitions", [1, 5])


def _revoke(manager: SessionManager, of: str) -> Callable[..., Awaitable[str]]:
    return {"user": manager.revoke_user_sessions, "agent": manager.revoke_agent_sessions}[of]


@BOTH
async def test_revoking_takes_one_call_however_many_sessions_there_are(
    manager: SessionManager, raw: redis.Redis, of: str
) -> None:
    sessions = await create_sessions(manager, 500)
    await manager.revoke_user_sessions("nobody")  # has the script loaded
    before = script_calls(raw)
    await _revoke(manager, of)({"user": "ann", "agent": "bot"}[of])
    assert script_calls(raw) - before == 1
    found = await asyncio.gather(*(manager.get_session(each.session_id) for each in sessions))
    assert set(found) == {None}


@BOTH
async def test_another_manager_sees_it_at_once(open_manager: Opener, of: str) -> None:
    mine, other = open_manager(), open_manager()
    [session] = await create_sessions(mine, 1)
    assert await other.session_exists(session.session_id)
    await _revoke(mine, of)({"user": "ann", "agent": "bot"}[of])
    assert not await other.session_exists(session.session_id)


@BOTH
async def test_sessions_created_after_the_request_survive_it(manager: SessionManager, of: str) -> None:
    await create_sessions(manager, 30)
    job_id = await _revoke(manager, of)({"user": "ann", "agent": "bot"}[of])
    new = await create_sessions(manager, 3)
    for session in new:
        await save_turns(manager, session.session_id, 2)
    progress = await manager.jobs.run(job_id)
    assert (progress.total, progress.done, progress.removed) == (30, 30, 30)
    survivors = await manager.get_sessions_by_user("ann")
    assert {each.session_id for each in survivors} == {each.session_id for each in new}
    assert len(await manager.list_checkpoints(new[0].session_id)) == 2


@BOTH
async def test_nothing_of_the_deleted_sessions_is_left(
    manager: SessionManager, raw: redis.Redis, namespace: str, of: str
) -> None:
    for session in await create_sessions(manager, 5):
        await save_turns(manager, session.session_id, 2)
    delete = {"user": manager.delete_user_sessions, "agent": manager.delete_agent_sessions}[of]
    assert await delete({"user": "ann", "agent": "bot"}[of]) == 5
    left = {key.split(b":")[2] for key in raw.scan_iter(match=f"{namespace}:*")}
    assert left == {b"job", b"history", b"layout", b"receipts", b"receipt_jobs", b"receipt_key"}


@PARTITIONS
async def test_an_agent_is_deleted_over_every_partition(open_manager: Opener, partitions: int) -> None:
    manager = open_manager(partitions=partitions)
    for user in range(25):
        await create_sessions(manager, 2, f"user_{user}", "retired")
        await create_sessions(manager, 1, f"user_{user}", "kept")
    job_id = await manager.revoke_agent_sessions("retired")
    assert await manager.get_sessions_by_agent("retired") == []
    assert await manager.get_active_session_count() == 25
    assert await manager.get_active_session_count("user_7") == 1
    progress = await manager.jobs.run(job_id)
    assert (progress.total, progress.removed) == (50, 50)
    assert len(await manager.get_sessions_by_agent("kept")) == 25


@PARTITIONS
async def test_counts_exclude_what_is_revoked_while_jobs_are_open(
    open_manager: Opener, partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    await create_sessions(manager, 4, "ann", "bot")
    await create_sessions(manager, 3, "ann", "other")
    await create_sessions(manager, 2, "bob", "other")
    jobs = [await manager.revoke_agent_sessions("bot")]
    assert await manager.get_active_session_count("ann") == 3
    assert await manager.get_active_session_count() == 5
    jobs.append(await manager.revoke_user_sessions("bob"))
    assert await manager.get_active_session_count("bob") == 0
    assert await manager.get_active_session_count() == 3
    await create_sessions(manager, 1, "bob", "bot")
    assert await manager.get_active_session_count("bob") == 1
    assert await manager.get_active_session_count() == 4
    for job_id in jobs:
        await manager.jobs.run(job_id)
    assert await manager.get_active_session_count("ann") == 3
    assert await manager.get_active_session_count() == 4


async def test_counts_are_right_again_after_two_deletions_that_shared_sessions(
    manager: SessionManager,
) -> None:
    await create_sessions(manager, 6, "ann", "bot")
    await create_sessions(manager, 2, "bob", "other")
    jobs = [await manager.revoke_user_sessions("ann"), await manager.revoke_agent_sessions("bot")]
    assert 0 <= await manager.get_active_session_count() <= 2
    assert await manager.get_active_session_count("ann") == 0
    removed = [(await manager.jobs.run(job_id)).removed for job_id in jobs]
    assert removed == [6, 0]
    assert await manager.get_active_session_count() == 2


async def test_revoked_sessions_hold_their_place_until_they_are_reclaimed(open_manager: Opener) -> None:
    manager = open_manager(max_sessions=5)
    await create_sessions(manager, 5)
    job_id = await manager.revoke_user_sessions("ann")
    assert await manager.get_active_session_count() == 0
    with pytest.raises(SessionLimitError):
        await manager.create_session("bob", "bot")
    await manager.jobs.run(job_id)
    assert len(await create_sessions(manager, 5, "bob")) == 5


@BOTH
async def test_a_second_deletion_while_the_first_is_open_joins_it(manager: SessionManager, of: str) -> None:
    target = {"user": "ann", "agent": "bot"}[of]
    await create_sessions(manager, 4)
    first = await _revoke(manager, of)(target)
    [new, *_] = await create_sessions(manager, 3)
    assert await _revoke(manager, of)(target) == first
    assert not await manager.session_exists(new.session_id)
    progress = await manager.jobs.run(first)
    assert (progress.total, progress.done, progress.removed) == (7, 7, 7)
    assert await _revoke(manager, of)(target) != first


@BOTH
async def test_an_awaited_deletion_counts_only_its_own_beside_one_at_work(
    manager: SessionManager, of: str
) -> None:
    target = {"user": "ann", "agent": "bot"}[of]
    delete = {"user": manager.delete_user_sessions, "agent": manager.delete_agent_sessions}[of]
    await create_sessions(manager, 4)
    first = await _revoke(manager, of)(target)
    await create_sessions(manager, 3)
    assert await delete(target) == 3
    assert (await manager.jobs.run(first)).removed == 4


@BOTH
async def test_a_revocation_is_the_same_when_repeated_with_its_id(manager: SessionManager, of: str) -> None:
    name = {"user": "ann", "agent": "bot"}[of]
    await create_sessions(manager, 4)
    assert await _revoke(manager, of)(name, "job_mine") == "job_mine"
    [new] = await create_sessions(manager, 1)
    assert await _revoke(manager, of)(name, "job_mine") == "job_mine"
    assert await manager.session_exists(new.session_id)
    assert (await manager.jobs.run("job_mine")).removed == 4
    assert await _revoke(manager, of)(name, "job_mine") == "job_mine"
    assert (await manager.jobs.run("job_mine")).removed == 4
    assert await manager.session_exists(new.session_id)


async def test_sessions_that_ran_out_while_revoked_are_not_counted_as_deleted(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    [gone, *_] = await create_sessions(manager, 4)
    job_id = await manager.revoke_user_sessions("ann")
    raw.pexpire(f"{namespace}:{{0}}:s:{gone.session_id}", 1)
    raw.zadd(f"{namespace}:{{0}}:x", {f"{gone.session_id} 3 annbot": 1})
    raw.zadd(f"{namespace}:{{0}}:a:bot", {gone.session_id: 1})
    await wait_until(
        lambda: not raw.exists(f"{namespace}:{{0}}:s:{gone.session_id}"), description="the session ran out"
    )
    progress = await manager.jobs.run(job_id)
    assert (progress.done, progress.removed) == (4, 3)
    assert await manager.cleanup_expired_sessions() == 1


async def test_a_limit_below_the_number_of_partitions_is_refused(open_manager: Opener) -> None:
    with pytest.raises(InvalidArgumentError, match=r"max_sessions .*partitions \(4\)"):
        open_manager(partitions=4, max_sessions=3)
