"""`fakeredis`, which callers use in their own unit tests."""

import asyncio
from collections.abc import Callable
from typing import Any

import fakeredis
import pytest

from agent_runtime.manager import (
    CachedSessionManager,
    Session,
    SessionLimitError,
    SessionManager,
    SessionNotFoundError,
)
from agent_runtime.manager.jobs import JobState, TooManyAffectedError
from tests.manager.test_connection_kinds import live_once
from tests.support.clients import close
from tests.support.leftovers import find_leftovers

Opener = Callable[..., SessionManager]

EVERY_FAKE = pytest.mark.parametrize(
    ("cls", "decodes"),
    [
        (fakeredis.FakeRedis, False),
        (fakeredis.FakeRedis, True),
        (fakeredis.FakeStrictRedis, False),
        (fakeredis.FakeAsyncRedis, False),
        (fakeredis.FakeAsyncRedis, True),
    ],
)


@EVERY_FAKE
async def test_sessions_live_in_a_fake(
    open_manager: Opener, namespace: str, cls: type, decodes: bool
) -> None:
    fake = fakeredis.FakeServer()
    conn = cls(server=fake, decode_responses=decodes)
    await live_once(open_manager(conn=conn))
    await live_once(open_manager(CachedSessionManager, conn=conn))
    assert find_leftovers(fakeredis.FakeRedis(server=fake), namespace) == []
    await close(conn)


@EVERY_FAKE
async def test_gathered_calls_are_served_by_a_fake(open_manager: Opener, cls: type, decodes: bool) -> None:
    conn = cls(decode_responses=decodes)
    manager = open_manager(conn=conn)
    created = await asyncio.gather(*(manager.create_session(f"user_{n}", "bot") for n in range(100)))
    assert await asyncio.gather(*(manager.get_session(each.session_id) for each in created)) == created
    assert await manager.get_active_session_count() == 100
    await close(conn)


def test_a_fake_serves_several_loops_in_turn() -> None:
    manager = SessionManager(fakeredis.FakeRedis())
    session = asyncio.run(manager.create_session("ann", "bot"))
    assert asyncio.run(manager.get_session(session.session_id)) == session


@pytest.mark.parametrize("cls", [fakeredis.FakeRedis, fakeredis.FakeAsyncRedis])
async def test_jobs_live_in_a_fake(open_manager: Opener, namespace: str, cls: type) -> None:
    fake = fakeredis.FakeServer()
    conn = cls(server=fake)
    manager = open_manager(conn=conn, partitions=2, residue_check="store")
    sessions = [await manager.create_session(f"user_{number}", "bot") for number in range(6)]
    for session in sessions:
        for turn in range(3):
            await manager.save_checkpoint(session.session_id, {"turn": turn})
    work = manager.jobs.agent_deletion("bot")

    preview = await manager.jobs.preview(work)
    assert (preview.sessions, preview.checkpoints) == (6, 18)
    assert preview.bytes >= 0
    pruning = manager.jobs.pruning(keep_last=2)
    assert (await manager.jobs.preview(pruning)).affected == 6
    assert await manager.prune_checkpoints(keep_last=2) == 6

    undone = await manager.revoke_agent_sessions("bot", grace=3_600, reason="too soon")
    for action in ("pause", "resume", "cancel", "undo"):
        await manager.jobs.control(undone, action)
    assert (await manager.jobs.run(undone)).restored == 6
    with pytest.raises(TooManyAffectedError, match="6 would go"):
        await manager.revoke_agent_sessions("bot", max_affected=5)

    done = await manager.jobs.run(await manager.revoke_agent_sessions("bot"))
    assert (done.state, done.removed) == (JobState.DONE, 6)
    assert done.receipt is not None
    assert (done.receipt.checkpoints, done.receipt.residue.sessions) == (12, 0)
    assert (await manager.jobs.receipts.verify()).problems == []
    listed: list[str] = []
    cursor = None
    while True:
        page = await manager.jobs.list(limit=1, cursor=cursor)
        listed += [job.job_id for job in page.jobs]
        if (cursor := page.cursor) is None:
            break
    assert len(listed) == len(set(listed)) == 3
    assert await manager.jobs.take_stalled() == []
    assert await manager.cleanup_expired_sessions() == 0
    assert find_leftovers(fakeredis.FakeRedis(server=fake), namespace) == []
    await close(conn)


async def test_batches_in_a_fake(open_manager: Opener, namespace: str) -> None:
    fake = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    manager = open_manager(conn=fake, max_sessions=40)
    wanted: list[Any] = [{"user_id": "ann", "agent_id": "bot", "metadata": {"a": 1}} for _ in range(41)]
    created = await manager.create_sessions(wanted)
    # Pages reach a fake from several threads, in any order, so any entry may be the one too many.
    sessions = [each for each in created if isinstance(each, Session)]
    ids = [each.session_id for each in sessions]
    assert [type(each) for each in created if each not in sessions] == [SessionLimitError]
    assert await manager.get_sessions(ids) == sessions
    saved = await manager.save_checkpoints([{"session_id": each, "data": {}} for each in [*ids, "sess_1"]])
    assert [type(each) for each in saved] == [str] * 40 + [SessionNotFoundError]
    assert await manager.delete_sessions([*ids, ids[0]]) == [True] * 40 + [False]
    assert find_leftovers(fake, namespace) == []
