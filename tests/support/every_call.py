"""Calls that together run every script, as callers and as those who only look."""

import redis

from agent_runtime.manager import CachedSessionManager, Session, SessionManager
from agent_runtime.tasks import Job, SessionJobs
from tests.support.jobs import finished, make_due, receipts_of
from tests.support.sessions import create_sessions, let_expire, save_turns
from tests.support.wait_until import wait_until


async def use_sessions(manager: SessionManager) -> None:
    """Every method on sessions and checkpoints, with more checkpoints than one may keep."""
    session, other, expiring = await create_sessions(manager, 3)
    name = session.session_id
    await manager.update_session(name, metadata={"a": 1}, agent_id="other")
    await manager.update_session_metadata(name, {"b": 2})
    await manager.refresh_session(name)
    assert await manager.get_session(name)
    assert await manager.get_sessions([name, other.session_id])
    assert await manager.session_exists(name)
    turns = await save_turns(manager, name, 5)
    shared = {"said": ["so long that it becomes a chunk " * 200, "and"]}
    turns += [await manager.save_checkpoint(name, shared) for _ in range(2)]
    assert await manager.pin_checkpoint(name, turns[-2])
    assert await manager.pin_checkpoint(name, turns[-1])
    assert await manager.unpin_checkpoint(name, turns[-1])
    assert await manager.pinned_checkpoints(name) == [turns[-2]]
    assert await manager.get_checkpoint(name, turns[-1])
    assert await manager.get_latest_checkpoint(name)
    assert await manager.list_checkpoints(name)
    assert await manager.delete_checkpoint(name, turns[-1])
    assert len(await manager.get_sessions_by_user("ann")) == 3
    assert len(await manager.get_sessions_by_agent("bot")) == 2
    assert await manager.get_active_session_count() == 3
    assert await manager.get_active_session_count("ann") == 3
    [many] = await manager.create_sessions([{"user_id": "ann", "agent_id": "bot"}])
    assert isinstance(many, Session)
    saved = await manager.save_checkpoints([{"session_id": many.session_id, "data": {}, "pin": True}])
    assert isinstance(saved[0], str)
    assert await manager.delete_sessions([many.session_id]) == [True]
    assert await manager.clear_checkpoints(name)
    assert await manager.delete_session(other.session_id)
    await let_expire(manager, expiring)
    assert await manager.cleanup_expired_sessions() == 1
    assert await manager.delete_user_sessions("ann") == 1


async def use_copies(manager: CachedSessionManager) -> None:
    """Has the server tell of changes, and reads a session from memory."""
    [session] = await create_sessions(manager, 1, "carol", "helper")
    await manager.get_session(session.session_id)
    await wait_until(manager.is_tracking_active, description="the server tells of changes")
    for _ in range(2):
        assert await manager.get_session(session.session_id) == session
    assert await manager.delete_session(session.session_id)


async def use_jobs(manager: SessionManager) -> None:
    """Every kind of job, and everything that can be done to one. Needs a worker."""
    jobs = SessionJobs(manager)
    sessions = await create_sessions(manager, 4, "bob", "helper")
    await save_turns(manager, sessions[0].session_id, 3)
    preview = await jobs.preview_user_deletion("bob")
    assert (preview.sessions, preview.bytes > 0) == (4, True)
    assert (await jobs.preview_agent_deletion("helper")).sessions == 4
    await jobs.preview_pruning(keep_last=1)
    await jobs.preview_sweep()
    await finished(await jobs.prune_checkpoints(keep_last=1, requested_by="test"))
    await finished(await jobs.cleanup_expired_sessions())
    undone = await jobs.delete_agent_sessions("helper", grace=60)
    assert (await manager.get_active_session_count("bob")) == 0
    await undone.pause()
    await undone.resume()
    await undone.undo()
    cancelled = await jobs.delete_user_sessions("bob", grace=60, max_affected=10, reason="test")
    await create_sessions(manager, 1, "bob", "helper")
    await jobs.delete_user_sessions("bob", grace=60)
    await cancelled.cancel()
    await cancelled.resume()
    await cancelled.cancel()
    await finished(await jobs.delete_agent_sessions("helper"))
    await look(manager)


async def look(manager: SessionManager) -> None:
    """What monitors do: lists of jobs, one of them, receipts and their chain."""
    jobs = SessionJobs(manager)
    page = await jobs.list(limit=1)
    await jobs.list(limit=1, cursor=page.cursor)
    await jobs.list(limit=3, cursor=f"{page.cursor}-of-a-job-that-is-forgotten")
    await jobs.get(page.jobs[0].job_id).progress()
    assert await receipts_of(manager)
    assert not (await manager.jobs.receipts.verify()).problems


async def leave_work_for_a_worker(manager: SessionManager, raw: redis.Redis) -> list[Job]:
    """Jobs that are due, of which only a worker has still to hear: a deletion of a user who has more new
    sessions by then than one page shows, and what there is to sweep.
    """
    jobs = SessionJobs(manager)
    await create_sessions(manager, 1, "crowd", "helper")
    deletion = await jobs.delete_user_sessions("crowd", grace=60)
    expiring, *_ = await create_sessions(manager, 250, "crowd", "helper")
    assert len(await manager.get_sessions_by_user("crowd")) == 250
    await let_expire(manager, expiring)
    await make_due(manager, raw, deletion.id)
    return [deletion]


#: Programs that enqueue tasks and wait for them, with sessions, pins and checkpoints there to be removed.
ENTRY_TASKS = """
import asyncio, json, redis, tasks
from manager import SessionManager, load_settings

async def prepare():
    async with SessionManager.from_settings() as manager:
        for user in ("carl", "dora"):
            session = await manager.create_session(user, "coder")
            said = ["so long that it becomes a chunk " * 200, "and"]
            turns = [
                await manager.save_checkpoint(session.session_id, {"turn": turn, "said": said})
                for turn in range(4)
            ]
            await manager.pin_checkpoint(session.session_id, turns[1])

asyncio.run(prepare())
results = [
    tasks.prune_checkpoints.delay(agent_id="coder", keep_last=1, max_affected=100).get(timeout=600),
    tasks.delete_user_sessions.delay("carl", max_affected=5, reason="test").get(timeout=600),
    tasks.delete_agent_sessions.delay("coder").get(timeout=600),
    tasks.cleanup_expired_sessions.delay().get(timeout=600),
]
failed = tasks.delete_user_sessions.delay("")
failed.get(timeout=600, propagate=False)
failed.forget()
tasks.cleanup_expired_sessions.apply_async(countdown=60)
print(json.dumps(results))
"""
