"""Each method of the contract on sessions: what it takes, returns and refuses."""

from datetime import UTC, datetime, timedelta

import pytest
import redis

from agent_runtime.manager import InvalidArgumentError, Session, SessionManager
from tests.support.sessions import create_sessions

UNKNOWN = "sess_abc123"


def test_the_constructor_defaults_to_an_hour_and_ten_thousand_sessions() -> None:
    manager = SessionManager(conn=redis.Redis())
    assert (manager.ttl, manager.max_sessions) == (3600, 10000)


@pytest.mark.parametrize("ttl", [0, -1, True, "60", None, float("nan"), float("inf")])
def test_a_time_to_live_that_is_no_positive_number_is_refused(ttl: object) -> None:
    with pytest.raises(ValueError, match="ttl"):
        SessionManager(redis.Redis(), ttl=ttl)  # type: ignore[arg-type]


@pytest.mark.parametrize("max_sessions", [0, -1, True, "60", None, 1.5])
def test_a_limit_that_is_no_positive_whole_number_is_refused(max_sessions: object) -> None:
    with pytest.raises(ValueError, match="max_sessions"):
        SessionManager(redis.Redis(), max_sessions=max_sessions)  # type: ignore[arg-type]


@pytest.mark.parametrize("conn", [None, "redis://localhost", object()])
def test_a_connection_that_is_no_client_is_refused(conn: object) -> None:
    with pytest.raises(ValueError, match="conn must be a"):
        SessionManager(conn)  # type: ignore[arg-type]


async def test_create_returns_the_session_as_it_is_stored(manager: SessionManager) -> None:
    before = datetime.now(UTC)
    session = await manager.create_session(user_id="ann", agent_id="bot", metadata={"tier": "premium"})
    assert isinstance(session, Session)
    assert (session.user_id, session.agent_id) == ("ann", "bot")
    assert session.metadata == {"tier": "premium"}
    assert session.created_at.tzinfo is UTC
    assert before - timedelta(seconds=1) < session.created_at < datetime.now(UTC) + timedelta(seconds=1)
    assert await manager.get_session(session.session_id) == session


async def test_metadata_is_empty_unless_given(manager: SessionManager) -> None:
    assert (await manager.create_session("ann", "bot")).metadata == {}
    assert (await manager.create_session("ann", "bot", None)).metadata == {}


async def test_ids_are_long_random_and_never_repeat(manager: SessionManager) -> None:
    ids = {session.session_id for session in await create_sessions(manager, 200)}
    assert len(ids) == 200
    assert {len(each) for each in ids} == {len("sess_") + 3 + 23}
    assert all(each.removeprefix("sess_").isalnum() for each in ids)


@pytest.mark.parametrize(
    ("method", "arguments", "answer"),
    [
        ("get_session", (), None),
        ("session_exists", (), False),
        ("update_session", (), False),
        ("update_session_metadata", ({"a": 1},), False),
        ("refresh_session", (), False),
        ("delete_session", (), False),
        ("get_checkpoint", ("ckpt_1",), None),
        ("get_latest_checkpoint", (), None),
        ("list_checkpoints", (), []),
        ("delete_checkpoint", ("ckpt_1",), False),
        ("clear_checkpoints", (), 0),
    ],
)
async def test_a_session_that_never_was_is_answered_as_the_contract_says(
    manager: SessionManager, method: str, arguments: tuple[object, ...], answer: object
) -> None:
    assert await getattr(manager, method)(UNKNOWN, *arguments) == answer


async def test_saving_into_a_session_that_never_was_is_a_value_error(manager: SessionManager) -> None:
    with pytest.raises(ValueError, match=UNKNOWN):
        await manager.save_checkpoint(UNKNOWN, {})


@pytest.mark.parametrize("method", ["get_sessions_by_user", "get_sessions_by_agent"])
async def test_who_is_unknown_has_no_sessions(manager: SessionManager, method: str) -> None:
    assert await getattr(manager, method)("nobody") == []


@pytest.mark.parametrize("method", ["delete_user_sessions", "delete_agent_sessions"])
async def test_deleting_the_sessions_of_who_is_unknown_deletes_none(
    manager: SessionManager, method: str
) -> None:
    assert await getattr(manager, method)("nobody") == 0


async def test_an_empty_store_counts_nothing(manager: SessionManager) -> None:
    assert await manager.get_active_session_count() == 0
    assert await manager.get_active_session_count("ann") == 0
    assert await manager.get_active_session_count(user_id=None) == 0
    assert await manager.cleanup_expired_sessions() == 0


async def test_update_without_fields_says_only_whether_the_session_is_live(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1})
    assert await manager.update_session(session.session_id) is True
    assert await manager.get_session(session.session_id) == session


async def test_update_moves_a_session_to_another_agent(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1})
    assert await manager.update_session(session.session_id, agent_id="other")
    moved = await manager.get_session(session.session_id)
    assert moved == session.model_copy(update={"agent_id": "other"})
    assert await manager.get_sessions_by_agent("bot") == []
    assert await manager.get_sessions_by_agent("other") == [moved]
    assert await manager.delete_agent_sessions("bot") == 0
    assert await manager.get_active_session_count() == 1


async def test_update_to_the_same_agent_changes_nothing(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    assert await manager.update_session(session.session_id, agent_id="bot")
    assert await manager.get_sessions_by_agent("bot") == [session]


@pytest.mark.parametrize("minutes", [1, 600])
async def test_update_shortens_or_lengthens_a_life(manager: SessionManager, minutes: int) -> None:
    session = await manager.create_session("ann", "bot")
    expires_at = session.created_at.replace(microsecond=0) + timedelta(minutes=minutes)
    assert await manager.update_session(session.session_id, expires_at=expires_at)
    assert await manager.get_sessions_by_user("ann") == [
        session.model_copy(update={"expires_at": expires_at})
    ]


async def test_update_changes_everything_at_once(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1})
    changes = {
        "metadata": {"b": 2},
        "agent_id": "other",
        "expires_at": session.created_at.replace(microsecond=5000) + timedelta(hours=2),
    }
    assert await manager.update_session(session.session_id, **changes)
    assert await manager.get_session(session.session_id) == session.model_copy(update=changes)


async def test_an_end_in_the_past_is_refused(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    with pytest.raises(InvalidArgumentError, match="expires_at must be in the future"):
        await manager.update_session(session.session_id, expires_at=session.created_at)
    assert await manager.get_session(session.session_id) == session


async def test_a_deleted_session_cannot_be_brought_back(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    assert await manager.delete_session(session.session_id) is True
    assert await manager.delete_session(session.session_id) is False
    assert await manager.refresh_session(session.session_id) is False
    assert await manager.update_session_metadata(session.session_id, {"a": 1}) is False
    assert await manager.update_session(session.session_id, metadata={"a": 1}) is False
    assert await manager.get_active_session_count() == 0


async def test_closing_twice_and_calling_again_is_fine(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    await manager.aclose()
    await manager.aclose()
    assert await manager.session_exists(session.session_id)
