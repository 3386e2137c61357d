"""A session, from its creation to its end. Read this first."""

from datetime import timedelta

from agent_runtime.manager import SessionManager


async def test_a_session_is_created_read_changed_and_deleted(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "chatbot", {"tier": "premium"})

    assert session.session_id.startswith("sess_")
    assert await manager.get_session(session.session_id) == session

    # Merging sets the keys it is given and leaves the others; `update_session` replaces.
    assert await manager.update_session_metadata(session.session_id, {"topic": "weather"})
    merged = await manager.get_session(session.session_id)
    assert merged is not None
    assert merged.metadata == {"tier": "premium", "topic": "weather"}

    assert await manager.update_session(session.session_id, metadata={"topic": "news"})
    replaced = await manager.get_session(session.session_id)
    assert replaced is not None
    assert replaced.metadata == {"topic": "news"}

    assert await manager.delete_session(session.session_id)
    assert await manager.get_session(session.session_id) is None
    assert not await manager.session_exists(session.session_id)


async def test_a_session_lives_for_its_time_from_the_last_refresh(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "chatbot")
    assert session.expires_at - session.created_at == timedelta(seconds=manager.ttl) - timedelta(
        microseconds=session.created_at.microsecond % 1000
    )

    await manager.update_session(session.session_id, expires_at=session.created_at + timedelta(minutes=1))
    assert await manager.refresh_session(session.session_id)

    refreshed = await manager.get_session(session.session_id)
    assert refreshed is not None
    assert refreshed.expires_at >= session.expires_at
    assert refreshed.created_at == session.created_at


async def test_a_user_has_sessions_with_several_agents(manager: SessionManager) -> None:
    chat = await manager.create_session("ann", "chatbot")
    search = await manager.create_session("ann", "searcher")
    other = await manager.create_session("bob", "chatbot")

    assert await manager.get_sessions_by_user("ann") == [chat, search]
    assert await manager.get_sessions_by_agent("chatbot") == [chat, other]
    assert await manager.get_active_session_count("ann") == 2
    assert await manager.get_active_session_count() == 3
