"""Short cuts to states of sessions that tests begin from."""

import asyncio

import redis

from agent_runtime.manager import Session, SessionManager
from tests.support.wait_until import wait_until

_AT_ONCE = 500


async def create_sessions(
    manager: SessionManager, count: int, user_id: str = "ann", agent_id: str = "bot"
) -> list[Session]:
    """So many sessions of one user with one agent. Some at a time: thousands at once may take longer than one
    call is allowed to.
    """
    created: list[Session] = []
    while more := min(_AT_ONCE, count - len(created)):
        created += await asyncio.gather(*(manager.create_session(user_id, agent_id) for _ in range(more)))
    return created


async def save_turns(manager: SessionManager, session_id: str, count: int) -> list[str]:
    """Ids of so many checkpoints, `{"turn": 0}` and on, oldest first."""
    return [await manager.save_checkpoint(session_id, {"turn": turn}) for turn in range(count)]


async def turns(manager: SessionManager, session_id: str) -> list[int]:
    """The turns of the checkpoints that a session has."""
    return [checkpoint["data"]["turn"] for checkpoint in await manager.list_checkpoints(session_id)]


async def let_expire(manager: SessionManager, *sessions: Session) -> None:
    """Has these sessions run out, by the server's clock, without waiting for their time to live."""
    conn = redis.Redis.from_url(manager.settings.redis_url)
    async with SessionManager(conn, ttl=0.02, settings=manager.settings) as hasty:
        await asyncio.gather(*(hasty.refresh_session(session.session_id) for session in sessions))
        for session in sessions:
            await wait_until(
                lambda session_id=session.session_id: _is_gone(hasty, session_id),
                description=f"{session.session_id} expired",
            )


def run_out_long_ago(manager: SessionManager, raw: redis.Redis, session: Session) -> None:
    """Has a session's time be over, by its records: its keys are gone, and indexes have it as long past."""
    keys = manager._context.partitions.of_session(session.session_id)
    entry = f"{session.session_id} {len(session.user_id)} {session.user_id}{session.agent_id}"
    raw.delete(keys.session(session.session_id))
    for index, member in (
        (keys.expiry_index, entry),
        (keys.user_index(session.user_id), session.session_id),
        (keys.agent_index(session.agent_id), session.session_id),
    ):
        raw.zadd(index, {member: 1}, xx=True)


async def _is_gone(manager: SessionManager, session_id: str) -> bool:
    return not await manager.session_exists(session_id)
