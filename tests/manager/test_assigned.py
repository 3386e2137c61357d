"""The moment of a hand-over lies in the session's hash, for whom it concerns."""

import redis

from agent_runtime.manager import SessionManager


def _fields(raw: redis.Redis, namespace: str, session_id: str) -> dict[bytes, bytes]:
    return dict(raw.hgetall(f"{namespace}:{{0}}:s:{session_id}"))


async def test_a_hand_over_notes_its_moment(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1})
    seconds, microseconds = raw.time()
    assert await manager.update_session(session.session_id, agent_id="other")
    first = int(_fields(raw, namespace, session.session_id)[b"assigned"])
    assert 0 <= first - (seconds * 1_000_000 + microseconds) < 5_000_000
    assert await manager.update_session(session.session_id, agent_id="bot")
    assert int(_fields(raw, namespace, session.session_id)[b"assigned"]) > first
    assert await manager.get_session(session.session_id) == session


async def test_without_a_new_agent_there_is_no_such_moment(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session = await manager.create_session("ann", "bot")
    session_id = session.session_id
    assert await manager.update_session(session_id, agent_id="bot", metadata={"a": 1})
    assert await manager.update_session(session_id, expires_at=session.expires_at.replace(year=2099))
    assert await manager.update_session_metadata(session_id, {"assigned": 7})
    assert await manager.refresh_session(session_id)
    assert b"assigned" not in _fields(raw, namespace, session_id)


async def test_replacing_the_metadata_leaves_the_moment_and_is_not_mistaken_for_it(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session = await manager.create_session("ann", "bot", {"assigned": "mine"})
    await manager.update_session(session.session_id, agent_id="other")
    before = _fields(raw, namespace, session.session_id)
    await manager.update_session(session.session_id, metadata={})
    after = _fields(raw, namespace, session.session_id)
    assert after[b"assigned"] == before[b"assigned"]
    found = await manager.get_session(session.session_id)
    assert found is not None
    assert found.metadata == {}
