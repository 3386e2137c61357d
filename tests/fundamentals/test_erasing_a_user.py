"""Removing everything of a user or an agent at once."""

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobState


async def test_a_user_is_erased(manager: SessionManager) -> None:
    erased = await manager.create_session("ann", "chatbot")
    await manager.save_checkpoint(erased.session_id, {"turn": 1})
    kept = await manager.create_session("bob", "chatbot")

    assert await manager.delete_user_sessions("ann") == 1

    assert await manager.get_session(erased.session_id) is None
    assert await manager.list_checkpoints(erased.session_id) == []
    assert await manager.get_sessions_by_agent("chatbot") == [kept]


async def test_an_agent_is_retired(manager: SessionManager) -> None:
    await manager.create_session("ann", "chatbot")
    await manager.create_session("bob", "chatbot")
    kept = await manager.create_session("bob", "searcher")

    assert await manager.delete_agent_sessions("chatbot") == 2

    assert await manager.get_sessions_by_user("bob") == [kept]


async def test_sessions_are_gone_at_once_and_their_memory_is_freed_later(manager: SessionManager) -> None:
    old = await manager.create_session("ann", "chatbot")

    # In O(1), however many there are: this is what callers do, and workers do the rest.
    job_id = await manager.revoke_user_sessions("ann")

    assert not await manager.session_exists(old.session_id)
    assert (await manager.jobs.progress(job_id)).state is JobState.QUEUED

    # Who comes back meanwhile is not touched.
    new = await manager.create_session("ann", "chatbot")
    progress = await manager.jobs.run(job_id)

    assert progress.finished
    assert progress.removed == 1
    assert await manager.get_sessions_by_user("ann") == [new]
