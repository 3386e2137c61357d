"""Sessions run out by themselves; a sweep only tidies the indexes."""

from agent_runtime.manager import SessionManager
from tests.support.sessions import let_expire


async def test_expired_sessions_are_gone_before_any_sweep_and_swept_once(manager: SessionManager) -> None:
    expired = await manager.create_session("ann", "chatbot")
    live = await manager.create_session("ann", "chatbot")
    await let_expire(manager, expired)

    assert await manager.get_session(expired.session_id) is None
    assert await manager.get_sessions_by_user("ann") == [live]
    assert await manager.get_active_session_count() == 1

    assert await manager.cleanup_expired_sessions() == 1
    assert await manager.cleanup_expired_sessions() == 0
    assert await manager.get_sessions_by_user("ann") == [live]
