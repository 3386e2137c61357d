"""The state of a conversation after each turn."""

from agent_runtime.manager import SessionManager


async def test_a_conversation_is_taken_up_where_it_ended(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "chatbot")
    history = [{"role": "user", "content": "Hi"}]
    await manager.save_checkpoint(session.session_id, {"turn": 1, "history": history})
    history.append({"role": "assistant", "content": "Hello!"})
    last = await manager.save_checkpoint(session.session_id, {"turn": 2, "history": history})

    latest = await manager.get_latest_checkpoint(session.session_id)

    assert latest is not None
    assert latest["checkpoint_id"] == last
    assert latest["session_id"] == session.session_id
    assert latest["data"] == {"turn": 2, "history": history}
    assert latest["created_at"] > session.created_at


async def test_checkpoints_are_listed_oldest_first_and_removed_one_by_one_or_all(
    manager: SessionManager,
) -> None:
    session = await manager.create_session("ann", "chatbot")
    ids = [await manager.save_checkpoint(session.session_id, {"turn": turn}) for turn in range(4)]

    assert [each["checkpoint_id"] for each in await manager.list_checkpoints(session.session_id)] == ids

    assert await manager.delete_checkpoint(session.session_id, ids[0])
    assert await manager.get_checkpoint(session.session_id, ids[0]) is None
    assert await manager.clear_checkpoints(session.session_id) == 3
    assert await manager.list_checkpoints(session.session_id) == []
    assert await manager.session_exists(session.session_id)


async def test_old_checkpoints_are_pruned(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "chatbot")
    ids = [await manager.save_checkpoint(session.session_id, {"turn": turn}) for turn in range(10)]

    assert await manager.prune_checkpoints(keep_last=3) == 7

    assert [each["checkpoint_id"] for each in await manager.list_checkpoints(session.session_id)] == ids[7:]
