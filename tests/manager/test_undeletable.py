"""A key of the wrong type in the way of bulk work."""

import redis

from agent_runtime.manager import SessionManager
from tests.support.sessions import create_sessions, save_turns


async def test_a_session_that_was_damaged_is_deleted_with_the_others(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    sessions = await create_sessions(manager, 5)
    for session in sessions:
        await save_turns(manager, session.session_id, 2)
    keys = manager._context.partitions.home
    _put_in_place_of(raw, keys.checkpoints(sessions[1].session_id))
    _put_in_place_of(raw, keys.checkpoint_order(sessions[2].session_id))
    raw.hdel(keys.session(sessions[3].session_id), "agent", "expires")

    done = await manager.jobs.run(await manager.revoke_user_sessions("ann"))
    assert (done.state, done.removed) == ("done", 5)
    assert done.receipt is not None
    assert (done.receipt.checkpoints, done.receipt.residue.sessions) == (8, 0)
    assert not list(raw.scan_iter(match=f"{namespace}:*:[sco]:*"))
    raw.zremrangebyrank(keys.expiry_index, 0, -1)  # the place of one could not be told
    raw.delete(keys.agent_index("bot"))


def _put_in_place_of(raw: redis.Redis, key: bytes) -> None:
    raw.set(key, "of another type", ex=60)
