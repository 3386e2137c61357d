"""Ids may hold any character and never reach another id's data."""

from itertools import pairwise

import pytest
import redis

from agent_runtime.manager import SessionManager
from tests.support.sessions import let_expire, save_turns, turns

TRICKY = [
    " ",
    "  ",
    "*",
    "?",
    "[a-z]",
    "{}",
    "{0}",
    "}",
    ":",
    "u:ann",
    "ann:a:bot",
    "a\nb",
    "\x00",
    "a\x00b",
    "\\",
    "%s %d",
    "%S+",
    "🙂",
    "漢字",
    "é",
    "e\u0301",
    "'; redis.call('FLUSHALL') --",
    "1",
    "01",
    "-1",
    "3 ann",
    " 3 annbot",
    "ann",
    "annb",
    "annbo",
    "bot",
    "otbot",
    "x" * 512,
]


async def test_every_id_finds_its_own_data_and_no_other(manager: SessionManager) -> None:
    made = {}
    for user, agent in pairwise([*TRICKY, TRICKY[0]]):
        made[user] = await manager.create_session(user, agent, {"user": user})
        await manager.save_checkpoint(made[user].session_id, {"user": user})
    for user, agent in pairwise([*TRICKY, TRICKY[0]]):
        assert await manager.get_session(made[user].session_id) == made[user]
        assert await manager.get_sessions_by_user(user) == [made[user]]
        assert await manager.get_sessions_by_agent(agent) == [made[user]]
        assert await manager.get_active_session_count(user) == 1
        latest = await manager.get_latest_checkpoint(made[user].session_id)
        assert latest is not None
        assert latest["data"] == {"user": user}


async def test_deleting_one_id_leaves_every_other(manager: SessionManager) -> None:
    for each in TRICKY:
        await manager.create_session(each, each)
    left = len(TRICKY)
    for number, each in enumerate(TRICKY):
        delete = (manager.delete_user_sessions, manager.delete_agent_sessions)[number % 2]
        assert await delete(each) == 1, repr(each)
        left -= 1
        assert await manager.get_active_session_count() == left
    assert left == 0


# Where a user's and an agent's id meet in the expiry index, only the length says which is which.
PAIRS_OF_EQUAL_TEXT = [("ann", "bot"), ("annb", "ot"), ("an", "nbot"), ("a", "nnbot"), (" ", "annbot")]


@pytest.mark.parametrize("swept", range(len(PAIRS_OF_EQUAL_TEXT)))
async def test_a_sweep_takes_a_session_out_of_its_own_indexes_only(
    manager: SessionManager, swept: int
) -> None:
    sessions = [await manager.create_session(user, agent) for user, agent in PAIRS_OF_EQUAL_TEXT]
    await let_expire(manager, sessions[swept])
    assert await manager.cleanup_expired_sessions() == 1
    for number, (user, agent) in enumerate(PAIRS_OF_EQUAL_TEXT):
        expected = [] if number == swept else [sessions[number]]
        assert await manager.get_sessions_by_user(user) == expected
        assert await manager.get_sessions_by_agent(agent) == expected


async def test_sweeps_understand_every_id(manager: SessionManager, raw: redis.Redis, namespace: str) -> None:
    sessions = [await manager.create_session(user, agent) for user, agent in pairwise(TRICKY)]
    kept = await manager.create_session("kept", "kept")
    await let_expire(manager, *sessions)
    assert await manager.cleanup_expired_sessions() == len(sessions)
    prefix = f"{namespace}:{{0}}:"
    assert raw.zcard(prefix + "x") == 1
    for kind in ("u", "a"):
        assert list(raw.scan_iter(match=f"{prefix}{kind}:*")) == [f"{prefix}{kind}:kept".encode()]
    assert await manager.get_sessions_by_user("kept") == [kept]


@pytest.mark.parametrize(
    "other", ["*", "sess_*", "\x00", " ", "sess_abc def", "🙂", "s" * 512, "sess_", "a:b"]
)
async def test_made_up_session_ids_reach_nothing(manager: SessionManager, other: str) -> None:
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 2)
    assert await manager.get_session(other) is None
    assert await manager.delete_session(other) is False
    assert await manager.clear_checkpoints(other) == 0
    assert await manager.prune_checkpoints(session_id=other, keep_last=0) == 0
    assert await turns(manager, session.session_id) == [0, 1]


@pytest.mark.parametrize("suffix", ["*", "\x00", " ", "\n", ":"])
async def test_a_session_id_with_something_added_is_another_id(manager: SessionManager, suffix: str) -> None:
    session = await manager.create_session("ann", "bot")
    assert not await manager.session_exists(session.session_id + suffix)
    assert not await manager.session_exists(suffix + session.session_id)


@pytest.mark.parametrize("other", ["*", "ckpt_*", "\x00", " ", "🙂"])
async def test_made_up_checkpoint_ids_reach_nothing(manager: SessionManager, other: str) -> None:
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 2)
    assert await manager.get_checkpoint(session.session_id, other) is None
    assert await manager.delete_checkpoint(session.session_id, other) is False
    assert await turns(manager, session.session_id) == [0, 1]


async def test_a_checkpoint_belongs_to_its_session_only(manager: SessionManager) -> None:
    mine, other = [await manager.create_session("ann", "bot") for _ in range(2)]
    [checkpoint_id] = await save_turns(manager, mine.session_id, 1)
    assert await manager.get_checkpoint(other.session_id, checkpoint_id) is None
    assert await manager.delete_checkpoint(other.session_id, checkpoint_id) is False
    assert await turns(manager, mine.session_id) == [0]
