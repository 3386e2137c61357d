"""Lists and counts over more sessions than one page holds."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable

import pytest

from agent_runtime.manager import Session, SessionManager
from agent_runtime.manager.scripts import sessions as scripts
from agent_runtime.manager.scripts.replies import START
from tests.support.sessions import create_sessions, let_expire

MANY = 450  # more than two pages of 200


async def _collect(found: AsyncIterator[Session]) -> list[str]:
    return [session.session_id async for session in found]


async def test_lists_over_several_pages_are_complete_and_oldest_first(manager: SessionManager) -> None:
    created = await create_sessions(manager, MANY)
    created.sort(key=lambda session: session.created_at)
    assert await manager.get_sessions_by_user("ann") == created
    assert await manager.get_sessions_by_agent("bot") == created
    assert await manager.get_active_session_count("ann") == MANY


async def test_the_oldest_comes_first_even_when_it_expires_last(manager: SessionManager) -> None:
    first, second = [await manager.create_session("ann", "bot") for _ in range(2)]
    await manager.refresh_session(first.session_id)
    assert [each.session_id for each in await manager.get_sessions_by_user("ann")] == [
        first.session_id,
        second.session_id,
    ]


async def test_iterators_give_every_session_once(open_manager: Callable[..., SessionManager]) -> None:
    manager = open_manager(partitions=4)
    created = [
        session.session_id
        for user in range(12)
        for session in await create_sessions(manager, MANY // 10, f"user_{user}")
    ]
    assert sorted(await _collect(manager.iter_sessions_by_agent("bot"))) == sorted(created)
    assert len(await _collect(manager.iter_sessions_by_user("user_3"))) == MANY // 10


async def test_an_iterator_does_not_load_what_it_is_not_asked_for(
    manager: SessionManager, raw: object
) -> None:
    await create_sessions(manager, MANY)
    found = manager.iter_sessions_by_user("ann")
    seen = [(await anext(found)).session_id for _ in range(10)]
    assert await manager.delete_user_sessions("ann") == MANY
    seen += await _collect(found)
    assert len(seen) == 200  # the page it had, and nothing of the pages it had not asked for


async def test_sessions_deleted_while_listing_leave_no_other_out(manager: SessionManager) -> None:
    created = await create_sessions(manager, MANY)
    by_expiry = sorted(created, key=lambda session: (session.expires_at, session.session_id))
    found = manager.iter_sessions_by_user("ann")
    seen = [(await anext(found)).session_id for _ in range(200)]
    # The very member behind which the next page begins, and one still to come.
    gone = {by_expiry[199].session_id, by_expiry[300].session_id}
    await asyncio.gather(*(manager.delete_session(session_id) for session_id in gone))
    seen += await _collect(found)
    assert set(seen) | gone == {session.session_id for session in created}


async def test_sessions_refreshed_while_listing_are_not_left_out(manager: SessionManager) -> None:
    created = await create_sessions(manager, MANY)
    found = manager.iter_sessions_by_user("ann")
    seen = [(await anext(found)).session_id for _ in range(100)]
    await asyncio.gather(*(manager.refresh_session(session.session_id) for session in created[::3]))
    seen += await _collect(found)
    assert set(seen) == {session.session_id for session in created}


@pytest.mark.parametrize("partitions", [1, 3])
async def test_expired_sessions_are_in_no_list_and_no_count(
    open_manager: Callable[..., SessionManager], partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    expired = await create_sessions(manager, 5)
    live = await create_sessions(manager, 2)
    await let_expire(manager, *expired)
    assert len(await manager.get_sessions_by_user("ann")) == len(live)
    assert len(await manager.get_sessions_by_agent("bot")) == len(live)
    assert await manager.get_active_session_count("ann") == len(live)
    assert await manager.get_active_session_count() == len(live)


async def test_a_user_is_counted_over_pages_while_the_deletion_of_an_agent_is_open(
    manager: SessionManager,
) -> None:
    await create_sessions(manager, MANY, "ann", "kept")
    await create_sessions(manager, 10, "ann", "retired")
    job_id = await manager.revoke_agent_sessions("retired")
    assert await manager.get_active_session_count("ann") == MANY
    await manager.jobs.run(job_id)
    assert await manager.get_active_session_count("ann") == MANY


async def test_a_page_of_large_sessions_is_short(manager: SessionManager) -> None:
    """Two hundred sessions with large metadata were one script of 14 ms."""
    large = {"text": "x" * 30_000}
    created = [await manager.create_session("ann", "bot", large) for _ in range(20)]
    keys = manager._context.partitions.of_user("ann")

    cursor, page = await scripts.list_sessions(
        manager._context.client, keys, keys.user_index("ann"), START, limit=200, max_bytes=100_000
    )

    assert len(page) == 4
    assert cursor != START
    assert await manager.get_sessions_by_user("ann") == created


async def test_a_listed_session_is_a_model_like_any_other(manager: SessionManager) -> None:
    created = await manager.create_session("ann", "bot", {"a": [1, {"b": None}]})
    [listed] = await manager.get_sessions_by_user("ann")
    by_hand = Session(**created.model_dump())
    assert listed == by_hand == await manager.get_session(created.session_id)
    assert (repr(listed), listed.model_fields_set) == (repr(by_hand), by_hand.model_fields_set)
    assert listed.model_dump_json() == by_hand.model_dump_json()
    assert Session.model_validate_json(listed.model_dump_json()) == listed
    assert pickle.loads(pickle.dumps(listed)) == listed
    copy = listed.model_copy(deep=True)
    copy.metadata["a"] = 2
    copy.agent_id = "other"
    assert listed == by_hand != copy


async def test_what_the_other_index_has_lost_is_not_listed(manager: SessionManager) -> None:
    [kept] = await create_sessions(manager, 1, "ann", "bot")
    await create_sessions(manager, 2, "bob", "bot")
    await create_sessions(manager, 2, "ann", "helper")
    await manager.revoke_user_sessions("bob")
    await manager.revoke_agent_sessions("helper")
    assert await manager.get_sessions_by_agent("bot") == [kept]
    assert await manager.get_sessions_by_user("ann") == [kept]
