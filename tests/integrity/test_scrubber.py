"""A scrub finds each kind of damage, repairs it without losing readable data, and finds it no more."""

from collections.abc import Callable

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.integrity import Damage, Finding
from tests.integrity.damages import LEFT, MENDED, Damaged, Planted, damaged_store, findings
from tests.support.keyspace import snapshot
from tests.support.leftovers import find_leftovers, remove_namespace
from tests.support.sessions import create_sessions, let_expire, save_turns, turns

Opener = Callable[..., SessionManager]


@pytest.fixture
async def store(manager: SessionManager, raw: redis.Redis) -> Damaged:
    """A store without damage so far."""
    return await damaged_store(manager, raw)


def told(found: list[Finding]) -> set[tuple[str, str]]:
    """Return damage and kind of key of each finding."""
    return {(finding.damage.value, finding.key.partition("}:")[2].partition(":")[0]) for finding in found}


@pytest.mark.parametrize("planted", MENDED, ids=lambda planted: planted.name)
async def test_what_can_be_mended_is_found_mended_and_found_no_more(
    manager: SessionManager, raw: redis.Redis, namespace: str, store: Damaged, planted: Planted
) -> None:
    planted.plant(store)
    before = snapshot(raw, namespace)
    found = await findings(manager)
    assert told(found) == planted.told
    assert not any(finding.repaired for finding in found)
    assert snapshot(raw, namespace) == before

    mended = await findings(manager, repair=True)
    assert told(mended) == planted.told
    assert all(finding.repaired for finding in mended)
    assert await findings(manager) == []
    assert find_leftovers(raw, namespace) == []
    await store.assert_intact(session_is_lost=planted.session_is_lost, checkpoints=planted.checkpoints_left)


@pytest.mark.parametrize("planted", LEFT, ids=lambda planted: planted.name)
async def test_what_is_for_people_to_mend_is_found_and_left_as_it_is(
    manager: SessionManager, raw: redis.Redis, namespace: str, store: Damaged, planted: Planted
) -> None:
    planted.plant(store)
    before = snapshot(raw, namespace)
    found = await findings(manager, repair=True)
    assert told(found) == planted.told
    assert not any(finding.repaired for finding in found)
    assert snapshot(raw, namespace) == before
    remove_namespace(raw, namespace)


async def test_sessions_that_a_deletion_has_revoked_are_left_to_it(
    manager: SessionManager, raw: redis.Redis, namespace: str, store: Damaged
) -> None:
    await create_sessions(manager, 3, "bob", "other")
    by_user = await manager.revoke_user_sessions("bob", grace=3_600)
    by_agent = await manager.revoke_agent_sessions("other", grace=3_600)
    before = snapshot(raw, namespace)
    assert await findings(manager, repair=True) == []
    assert snapshot(raw, namespace) == before
    for job_id in (by_agent, by_user):
        await manager.jobs.control(job_id, "undo")
        await manager.jobs.run(job_id)
    assert len(await manager.get_sessions_by_user("bob")) == 3


@pytest.mark.parametrize("lost", ["revocations:u", "revocations:u:bob"])
async def test_a_deletion_that_is_not_noted_any_more_can_still_be_undone_after_a_repair(
    manager: SessionManager, raw: redis.Redis, store: Damaged, lost: str
) -> None:
    await create_sessions(manager, 3, "bob", "other")
    job_id = await manager.revoke_user_sessions("bob", grace=3_600)
    raw.delete(manager._context.partitions.home.prefix + lost.encode())
    assert told(await findings(manager, repair=True)) == {(Damage.UNLISTED, "revocations")}
    assert await findings(manager) == []
    assert await manager.get_active_session_count() == 2
    await manager.jobs.control(job_id, "undo")
    assert (await manager.jobs.run(job_id)).restored == 3


async def test_what_was_deleted_never_comes_back(
    manager: SessionManager, raw: redis.Redis, namespace: str, store: Damaged
) -> None:
    """The job's record is lost: its revoked sessions can neither be told from other sessions nor listed
    again."""
    sessions = await create_sessions(manager, 5, "bob", "other")
    job_id = await manager.revoke_user_sessions("bob")
    raw.delete(manager._context.partitions.home.job(job_id))
    raw.zrem(manager._context.partitions.home.jobs, job_id)
    assert told(await findings(manager)) == {(Damage.REVOKED, "revoked")}
    mended = told(await findings(manager, repair=True))
    assert mended == {(Damage.REVOKED, "revoked"), (Damage.ORPHAN, "s")}
    assert await findings(manager) == []
    for session in sessions:
        assert await manager.get_session(session.session_id) is None
        assert not raw.exists(manager._context.partitions.home.session(session.session_id))
    assert await manager.get_active_session_count() == 2


async def test_what_ran_out_is_left_to_the_sweep(manager: SessionManager, store: Damaged) -> None:
    await let_expire(manager, *await create_sessions(manager, 4, "bob"))
    assert await findings(manager, repair=True) == []
    assert await manager.cleanup_expired_sessions() == 4


async def test_every_page_of_a_long_session_and_a_long_index_is_looked_at(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    sessions = await create_sessions(manager, 400)
    session_id = sessions[0].session_id
    await save_turns(manager, session_id, 350)
    keys = manager._context.partitions.home
    ids = [checkpoint["checkpoint_id"] for checkpoint in await manager.list_checkpoints(session_id)]
    lost = [ids[place] for place in (0, 99, 100, 250, 349)]
    raw.hdel(keys.checkpoints(session_id), *lost)
    ghosts = {f"sess_{number}": 4e12 + number for number in range(1_100)}
    raw.zadd(keys.user_index("ann"), ghosts)
    raw.pexpireat(keys.user_index("ann"), 4_000_000_100_000)
    found = await findings(manager, repair=True)
    assert len([each for each in found if each.damage is Damage.CHECKPOINTS]) == 5
    assert len([each for each in found if each.damage is Damage.GHOST]) == 1_100
    assert await findings(manager) == []
    assert await turns(manager, session_id) == [turn for turn in range(350) if ids[turn] not in lost]
    assert await manager.get_active_session_count("ann") == 400


async def test_all_partitions_are_looked_at(open_manager: Opener, raw: redis.Redis, namespace: str) -> None:
    manager = open_manager(partitions=4)
    for user in range(12):
        await create_sessions(manager, 2, f"user_{user}")
    assert await findings(manager) == []
    for keys in manager._context.partitions.all:
        raw.zadd(keys.expiry_index, {"sess_gone 3 annbot": 4e12})
        raw.pexpireat(keys.expiry_index, 4_000_100_000_000)
    assert len(await findings(manager, repair=True)) == 4
    assert await findings(manager) == []


async def test_a_namespace_is_no_pattern_and_others_are_not_touched(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    raw.set(f"{namespace}-other:key", 1, ex=60)
    raw.set(f"other:{namespace}:key", 1, ex=60)
    manager = open_manager(namespace=f"{namespace}-*")
    assert await findings(manager, repair=True) == []
    scrubber = manager.scrub()
    assert [finding async for finding in scrubber] == []
    assert (scrubber.keys_seen, scrubber.progress) == (1, 1.0)  # the layout
    raw.delete(f"{namespace}-other:key", f"other:{namespace}:key")


async def test_interrupted_anywhere_it_leaves_nothing_half_done(
    manager: SessionManager, raw: redis.Redis, namespace: str, store: Damaged
) -> None:
    """Each finding is repaired as a whole or not at all: a finding reported so far is repaired, and the rest
    is found again."""
    for planted in MENDED[:6]:
        planted.plant(store)
    left = len(await findings(manager))
    for _ in range(left + 1):
        walk = aiter(manager.scrub(repair=True))
        async for _ in walk:
            break
        await walk.aclose()
        assert len(await findings(manager)) <= left
        left = len(await findings(manager))
    assert left == 0
    remove_namespace(raw, namespace)
