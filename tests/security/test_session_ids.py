"""A session id cannot be guessed, and a made-up one learns nothing."""

import json
import subprocess
import sys
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager, SessionNotFoundError
from agent_runtime.manager.new_ids import new_session_id
from tests.support.processes import ROOT
from tests.support.sessions import create_sessions, let_expire, save_turns

_SEEDED = """
import json, random, uuid
random.seed(1)
from manager.new_ids import new_checkpoint_id, new_job_id, new_session_id
print(json.dumps([make() for make in (lambda: new_session_id("ann"), new_checkpoint_id, new_job_id)]))
"""

#: Whoever knows the user can know the characters before the random part.
_KNOWN = len("sess_") + 3


def test_the_random_part_of_a_session_id_has_more_than_128_bits() -> None:
    random_part = new_session_id("ann")[_KNOWN:]
    assert random_part.isalnum()
    assert 62 ** len(random_part) > 2**128


def test_ids_come_from_the_generator_of_the_system() -> None:
    """Two programs with Python's own generator in the same state make different ids."""
    command = [sys.executable, "-c", _SEEDED]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout for _ in range(2)]
    first, second = map(json.loads, runs)
    assert all(one != other for one, other in zip(first, second, strict=True))


@pytest.fixture
async def not_there(manager: SessionManager, open_manager: Any, namespace: str) -> dict[str, str]:
    """Ids of every kind that is absent: expired, revoked, deleted, malformed, of another kind, and made
    up."""
    [expired] = await create_sessions(manager, 1, "ann")
    await let_expire(manager, expired)
    [revoked] = await create_sessions(manager, 1, "bob")
    await save_turns(manager, revoked.session_id, 2)
    await manager.revoke_user_sessions("bob")
    [deleted] = await create_sessions(manager, 1, "ann")
    await manager.delete_session(deleted.session_id)
    return {
        "absent": new_session_id("ann"),
        "expired": expired.session_id,
        "revoked": revoked.session_id,
        "deleted": deleted.session_id,
        "malformed": "sess_!!",
        "of another kind": "job_1",
    }


_CALLS: dict[str, Any] = {
    "get": lambda manager, name: manager.get_session(name),
    "exists": lambda manager, name: manager.session_exists(name),
    "update": lambda manager, name: manager.update_session(name, metadata={"a": 1}),
    "merge": lambda manager, name: manager.update_session_metadata(name, {"a": 1}),
    "refresh": lambda manager, name: manager.refresh_session(name),
    "delete": lambda manager, name: manager.delete_session(name),
    "save": lambda manager, name: manager.save_checkpoint(name, {"a": 1}),
    "checkpoint": lambda manager, name: manager.get_checkpoint(name, "ckpt_1"),
    "latest": lambda manager, name: manager.get_latest_checkpoint(name),
    "checkpoints": lambda manager, name: manager.list_checkpoints(name),
    "pin": lambda manager, name: manager.pin_checkpoint(name, "ckpt_1"),
    "unpin": lambda manager, name: manager.unpin_checkpoint(name, "ckpt_1"),
    "pinned": lambda manager, name: manager.pinned_checkpoints(name),
    "delete checkpoint": lambda manager, name: manager.delete_checkpoint(name, "ckpt_1"),
    "clear": lambda manager, name: manager.clear_checkpoints(name),
}


@pytest.mark.parametrize("call", _CALLS)
async def test_every_id_that_is_not_there_gets_the_same_answer_in_one_call(
    manager: SessionManager, raw: redis.Redis, not_there: dict[str, str], call: str
) -> None:
    answers, calls = {}, {}
    for kind, name in not_there.items():
        await _answer(manager, call, name)  # by now the server knows the script
        before = _asked(raw)
        answers[kind] = await _answer(manager, call, name)
        calls[kind] = {command: count - before.get(command, 0) for command, count in _asked(raw).items()}
    assert len(set(answers.values())) == 1, answers
    from_outside = [
        count for each in calls.values() for command, count in each.items() if command == "evalsha"
    ]
    assert from_outside == [1] * len(not_there)


async def _answer(manager: SessionManager, call: str, name: str) -> str:
    """Return the answer, or the error with all its causes, without the id itself."""
    try:
        return repr(await _CALLS[call](manager, name))
    except SessionNotFoundError as error:
        return repr((error, error.__cause__, error.__context__)).replace(name, "ID")


def _asked(client: redis.Redis) -> dict[str, int]:
    """Return how often the server has run each command."""
    stats = client.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): found["calls"] for name, found in stats.items() if "info" not in name
    }
