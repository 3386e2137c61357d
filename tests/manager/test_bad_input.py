"""What is not acceptable is a ValueError that names the argument, and nothing is written."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import pytest
import redis

from agent_runtime.manager import AgentSessionsError, InvalidArgumentError, SessionManager
from tests.support.keyspace import snapshot


class _Nowhere(tzinfo):
    """A time zone without an offset: what has it counts as without a time zone."""

    def utcoffset(self, when: datetime | None) -> None:
        return None


BAD_IDS = ["", None, 7, b"bytes", ["x"], True, "x" * 513, "é" * 257, "\ud83d"]

ID_ARGUMENTS = [
    ("create_session", ("<bad>", "bot"), "user_id"),
    ("create_session", ("ann", "<bad>"), "agent_id"),
    ("get_session", ("<bad>",), "session_id"),
    ("session_exists", ("<bad>",), "session_id"),
    ("update_session", ("<bad>",), "session_id"),
    ("update_session_metadata", ("<bad>", {}), "session_id"),
    ("refresh_session", ("<bad>",), "session_id"),
    ("delete_session", ("<bad>",), "session_id"),
    ("get_sessions_by_user", ("<bad>",), "user_id"),
    ("get_sessions_by_agent", ("<bad>",), "agent_id"),
    ("save_checkpoint", ("<bad>", {}), "session_id"),
    ("get_checkpoint", ("<bad>", "ckpt_1"), "session_id"),
    ("get_checkpoint", ("sess_1", "<bad>"), "checkpoint_id"),
    ("get_latest_checkpoint", ("<bad>",), "session_id"),
    ("list_checkpoints", ("<bad>",), "session_id"),
    ("pin_checkpoint", ("<bad>", "ckpt_1"), "session_id"),
    ("pin_checkpoint", ("sess_1", "<bad>"), "checkpoint_id"),
    ("unpin_checkpoint", ("<bad>", "ckpt_1"), "session_id"),
    ("unpin_checkpoint", ("sess_1", "<bad>"), "checkpoint_id"),
    ("pinned_checkpoints", ("<bad>",), "session_id"),
    ("delete_checkpoint", ("<bad>", "ckpt_1"), "session_id"),
    ("delete_checkpoint", ("sess_1", "<bad>"), "checkpoint_id"),
    ("clear_checkpoints", ("<bad>",), "session_id"),
    ("delete_user_sessions", ("<bad>",), "user_id"),
    ("delete_agent_sessions", ("<bad>",), "agent_id"),
    ("revoke_user_sessions", ("<bad>",), "user_id"),
    ("revoke_agent_sessions", ("<bad>",), "agent_id"),
]

_LOOP: dict[str, Any] = {}
_LOOP["self"] = _LOOP
_DEEP: list[Any] = []
for _ in range(100_000):
    _DEEP = [_DEEP]

BAD_OBJECTS: list[Any] = [
    [],
    "text",
    1,
    [("a", 1)],
    {"a": float("nan")},
    {"a": float("inf")},
    {"a": [{"b": float("-inf")}]},
    {"a": b"bytes"},
    {"a": object()},
    {"a": {1, 2}},
    {"a": Decimal(1)},
    {"a": datetime.now(UTC)},
    {"a": 1 + 2j},
    {1: "a"},
    {None: "a"},
    {b"bytes": "a"},
    {("a",): 1},
    {"a": {1: "b"}},
    {"a": [{b"bytes": "b"}]},
    _LOOP,
    {"a": _DEEP},
]


def _name(value: object) -> str:
    return repr(value)[:20] if value not in (_LOOP,) else "loop"


async def _refuses(manager: SessionManager, name: str, method: str, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ValueError, match=name) as caught:
        await getattr(manager, method)(*args, **kwargs)
    assert isinstance(caught.value, AgentSessionsError), f"{method}: {caught.value!r}"
    return str(caught.value)


@pytest.mark.parametrize(("method", "arguments", "name"), ID_ARGUMENTS)
async def test_bad_ids_are_refused(
    manager: SessionManager,
    raw: redis.Redis,
    namespace: str,
    method: str,
    arguments: tuple[Any, ...],
    name: str,
) -> None:
    for bad in BAD_IDS:
        real = [bad if value == "<bad>" else value for value in arguments]
        await _refuses(manager, f"^{name} ", method, *real)
    assert snapshot(raw, namespace) == {}


async def test_an_id_over_the_limit_is_told_the_limit(manager: SessionManager) -> None:
    message = await _refuses(manager, "user_id", "create_session", "x" * 513, "bot")
    assert "513 bytes" in message
    assert "512 (max_id_bytes)" in message
    assert await manager.create_session("x" * 512, "é" * 256)


async def test_the_limit_of_ids_is_a_setting(open_manager: Callable[..., SessionManager]) -> None:
    await _refuses(open_manager(max_id_bytes=3), "agent_id", "create_session", "ann", "four")


@pytest.mark.parametrize("position", range(len(BAD_OBJECTS)))
async def test_what_json_cannot_hold_is_refused_as_metadata_and_as_checkpoint(
    manager: SessionManager, raw: redis.Redis, namespace: str, position: int
) -> None:
    bad = BAD_OBJECTS[position]
    session = await manager.create_session("ann", "bot", {"kept": 1})
    before = snapshot(raw, namespace)
    await _refuses(manager, "^metadata ", "create_session", "ann", "bot", bad)
    await _refuses(manager, "^metadata ", "update_session", session.session_id, metadata=bad)
    await _refuses(manager, "^metadata ", "update_session_metadata", session.session_id, bad)
    await _refuses(manager, "^data ", "save_checkpoint", session.session_id, bad)
    assert snapshot(raw, namespace) == before


async def test_metadata_of_none_is_refused_where_it_is_no_default(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    await _refuses(manager, "metadata", "update_session", session.session_id, metadata=None)
    await _refuses(manager, "metadata", "update_session_metadata", session.session_id, None)
    await _refuses(manager, "data", "save_checkpoint", session.session_id, None)


async def test_metadata_keys_must_be_valid_unicode(manager: SessionManager) -> None:
    await _refuses(manager, "metadata key", "create_session", "ann", "bot", {"\ud83d": 1})


@pytest.mark.parametrize(
    ("updates", "name"),
    [
        ({"user_id": "bob"}, "user_id"),
        ({"session_id": "sess_1"}, "session_id cannot be updated"),
        ({"created_at": datetime.now(UTC)}, "created_at"),
        ({"tier": "premium"}, "tier"),
        ({"user_id": "bob", "metadata": {}, "x": 1}, "user_id, x"),
        ({"agent_id": ""}, "agent_id"),
        ({"agent_id": None}, "agent_id"),
        ({"agent_id": "x" * 513}, "agent_id"),
        ({"expires_at": None}, "expires_at"),
        ({"expires_at": 9e9}, "expires_at"),
        ({"expires_at": "2099-01-01"}, "expires_at"),
        ({"expires_at": datetime(2099, 1, 1)}, "expires_at .*time zone"),  # noqa: DTZ001
        ({"expires_at": datetime(2099, 1, 1, tzinfo=_Nowhere())}, "expires_at .*time zone"),
        ({"expires_at": datetime.min.replace(tzinfo=UTC)}, "expires_at"),
        ({"expires_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))}, "expires_at"),
        ({"expires_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))}, "expires_at"),
        ({"metadata": {"a": float("nan")}, "agent_id": "other"}, "metadata"),
    ],
)
async def test_update_session_refuses_what_cannot_be_changed(
    manager: SessionManager, raw: redis.Redis, namespace: str, updates: dict[str, Any], name: str
) -> None:
    arguments = dict(updates)
    session = await manager.create_session("ann", "bot", {"kept": 1})
    before = snapshot(raw, namespace)
    if "session_id" in arguments:  # the method's own argument: Python itself refuses it twice
        with pytest.raises(TypeError):
            await manager.update_session(session.session_id, **arguments)
        return
    await _refuses(manager, name, "update_session", session.session_id, **arguments)
    assert snapshot(raw, namespace) == before


async def test_fields_that_cannot_be_changed_are_refused_whether_or_not_the_session_exists(
    manager: SessionManager,
) -> None:
    await _refuses(manager, "user_id", "update_session", "sess_unknown", user_id="bob")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({}, "keep_last or older_than"),
        ({"session_id": "sess_1"}, "keep_last or older_than"),
        ({"session_id": "sess_1", "agent_id": "bot", "keep_last": 1}, "session_id or agent_id"),
        ({"session_id": "", "keep_last": 1}, "session_id"),
        ({"agent_id": 5, "keep_last": 1}, "agent_id"),
        ({"keep_last": -1}, "keep_last"),
        ({"keep_last": 1.5}, "keep_last"),
        ({"keep_last": True}, "keep_last"),
        ({"keep_last": "3"}, "keep_last"),
        ({"keep_last": 2**63}, "keep_last .*9223372036854775807"),
        ({"keep_last": 10**5000}, "keep_last"),
        ({"keep_last": -(10**5000)}, "keep_last"),
        ({"older_than": 0}, "older_than"),
        ({"older_than": -5}, "older_than"),
        ({"older_than": float("nan")}, "older_than"),
        ({"older_than": float("inf")}, "older_than"),
        ({"older_than": 1e305}, "older_than"),
        ({"older_than": 10**5000}, "older_than"),
        ({"older_than": timedelta(seconds=-1)}, "older_than"),
        ({"older_than": "1h"}, "older_than"),
    ],
)
async def test_pruning_refuses_what_is_no_policy(
    manager: SessionManager, raw: redis.Redis, namespace: str, arguments: dict[str, Any], name: str
) -> None:
    await _refuses(manager, name, "prune_checkpoints", **arguments)
    assert snapshot(raw, namespace) == {}


@pytest.mark.parametrize("agents", ["bot", b"bot", 5, {"bot": 1}, [5], [None], [""], True])
def test_agents_to_be_spared_are_a_list_of_ids(manager: SessionManager, agents: Any) -> None:
    """A text was taken for the list of its letters, so that the agent that it names was pruned."""
    with pytest.raises(InvalidArgumentError, match="except_agents"):
        manager.jobs.pruning(keep_last=1, except_agents=agents)


@pytest.mark.parametrize(
    ("shard", "number"),
    [([], 1), (-1, 1), ("0", 1), (1.5, 1), (4_097, 1), (0, []), (0, 0), (0, "x"), (0, 1.5)],
)
async def test_a_slice_that_cannot_be_is_refused(
    manager: SessionManager, raw: redis.Redis, namespace: str, shard: Any, number: Any
) -> None:
    """A list was told as an outcome unknown, to the calls beside it too, and so was tried again."""
    job_id = await manager.revoke_user_sessions("ann", grace=5)
    before = snapshot(raw, namespace)
    with pytest.raises(InvalidArgumentError, match=r"shard|number"):
        await anext(manager.jobs.steps(job_id, shard, number))
    assert snapshot(raw, namespace) == before


async def test_a_checkpoint_may_be_just_as_large_as_the_limit(
    open_manager: Callable[..., SessionManager],
) -> None:
    manager = open_manager(max_checkpoint_bytes=100)
    session = await manager.create_session("ann", "bot")
    assert await manager.save_checkpoint(session.session_id, {"k": "x" * 92})  # {"k":"…"}
    with pytest.raises(InvalidArgumentError, match=r"data is 101 bytes .*100 \(max_checkpoint_bytes\)"):
        await manager.save_checkpoint(session.session_id, {"k": "x" * 93})
    assert len(await manager.list_checkpoints(session.session_id)) == 1


@pytest.mark.parametrize("ttl", [1e12, 1e300, 10**400, 10**5000], ids=["1e12", "1e300", "1e400", "1e5000"])
async def test_a_time_to_live_beyond_the_calendar_is_refused(
    open_manager: Callable[..., SessionManager], raw: redis.Redis, namespace: str, ttl: float
) -> None:
    with pytest.raises(ValueError, match="ttl"):
        await open_manager(ttl=ttl).create_session("ann", "bot")
    assert snapshot(raw, namespace) == {}


async def test_the_last_moment_of_the_calendar_is_a_fine_end(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    end = datetime.max.replace(tzinfo=UTC)
    assert await manager.update_session(session.session_id, expires_at=end)
    found = await manager.get_session(session.session_id)
    assert found is not None
    assert found.expires_at == end.replace(microsecond=999_000)
