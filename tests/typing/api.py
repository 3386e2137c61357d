"""Uses of the public API for the type checker: `test_api.py` checks this file, and nothing executes it.

`assert_type` fails if a value has another type, or is Any. A `type: ignore` names an error that a caller
gets; strict mypy reports the comment if there is no such error.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, assert_type

import redis
import redis.asyncio

from agent_runtime import (  # type: ignore[attr-defined]
    CachedSessionManager,
    Checkpoint,
    NoSuchName,
    Session,
    SessionJobs,
    SessionManager,
)
from agent_runtime.manager import (
    AgentSessionsError,
    NewCheckpoint,
    NewSession,
    Settings,
    StoreOutcomeUnknownError,
    load_settings,
    new_checkpoint_id,
    new_session_id,
)
from agent_runtime.manager.integrity import Damage, Finding
from agent_runtime.manager.jobs import JobKind, JobPage, JobProgress, JobState, Preview, Receipt
from agent_runtime.tasks import Job

SESSION_ID = "sess_abc123"


def managers() -> None:
    assert_type(SessionManager(redis.Redis(), ttl=3600, max_sessions=10), SessionManager)
    assert_type(SessionManager(redis.asyncio.Redis(), settings=load_settings()), SessionManager)
    assert_type(SessionManager.from_settings(Settings(partitions=8)), SessionManager)
    assert_type(CachedSessionManager.from_settings(), CachedSessionManager)
    assert_type(CachedSessionManager(redis.Redis(), cache_size=10).is_tracking_active(), bool)
    SessionManager("localhost")  # type: ignore[arg-type]
    NoSuchName()


async def sessions(manager: SessionManager) -> None:
    session = await manager.create_session("user_123", "chatbot", {"tier": "premium"})
    assert_type(session, Session)
    assert_type(session.metadata, dict[str, Any])
    assert_type(await manager.create_session("user_123", "chatbot", session_id=new_session_id("u")), Session)
    assert_type(await manager.get_session(SESSION_ID), Session | None)
    assert_type(await manager.session_exists(SESSION_ID), bool)
    assert_type(await manager.update_session(SESSION_ID, metadata={"a": 1}), bool)
    assert_type(await manager.update_session_metadata(SESSION_ID, {"a": 1}), bool)
    assert_type(await manager.refresh_session(SESSION_ID), bool)
    assert_type(await manager.delete_session(SESSION_ID), bool)
    assert_type(await manager.get_sessions_by_user("user_123"), list[Session])
    assert_type(await manager.get_sessions_by_agent("chatbot"), list[Session])
    assert_type(manager.iter_sessions_by_user("user_123"), AsyncIterator[Session])
    assert_type(await manager.get_active_session_count(), int)
    await manager.create_session(123, "chatbot")  # type: ignore[arg-type]
    (await manager.get_session(SESSION_ID)).metadata  # type: ignore[union-attr]  # noqa: B018


async def checkpoints(manager: SessionManager) -> None:
    assert_type(
        await manager.save_checkpoint(SESSION_ID, {"turn": 1}, checkpoint_id=new_checkpoint_id()), str
    )
    found = await manager.get_latest_checkpoint(SESSION_ID)
    assert_type(found, dict[str, Any] | None)
    if found is not None:
        assert_type(Checkpoint(**found).data, dict[str, Any])
    assert_type(await manager.get_checkpoint(SESSION_ID, "ckpt_xyz789"), dict[str, Any] | None)
    assert_type(await manager.list_checkpoints(SESSION_ID), list[dict[str, Any]])
    assert_type(await manager.pin_checkpoint(SESSION_ID, "ckpt_xyz789"), bool)
    assert_type(await manager.pinned_checkpoints(SESSION_ID), list[str])
    assert_type(await manager.delete_checkpoint(SESSION_ID, "ckpt_xyz789"), bool)
    assert_type(await manager.clear_checkpoints(SESSION_ID), int)
    await manager.save_checkpoint(SESSION_ID, "text")  # type: ignore[arg-type]


async def batches(manager: SessionManager) -> None:
    new: NewSession = {"user_id": "user_123", "agent_id": "chatbot"}
    assert_type(await manager.create_sessions([new]), list[Session | AgentSessionsError])
    assert_type(await manager.get_sessions([SESSION_ID]), list[Session | AgentSessionsError | None])
    assert_type(await manager.delete_sessions([SESSION_ID]), list[bool | AgentSessionsError])
    checkpoint: NewCheckpoint = {"session_id": SESSION_ID, "data": {}, "pin": True}
    assert_type(await manager.save_checkpoints([checkpoint]), list[str | AgentSessionsError])
    await manager.create_sessions([{"user_id": "user_123"}])  # type: ignore[typeddict-item]


async def bulk_work(manager: SessionManager) -> None:
    assert_type(await manager.delete_user_sessions("user_123"), int)
    assert_type(await manager.delete_agent_sessions("chatbot"), int)
    assert_type(await manager.prune_checkpoints(keep_last=5, older_than=timedelta(days=1)), int)
    assert_type(await manager.cleanup_expired_sessions(), int)
    assert_type(await manager.revoke_user_sessions("user_123", reason="asked"), str)
    assert_type(await manager.erase_user_key("user_123"), bool)
    async for finding in manager.scrub(repair=True):
        assert_type(finding, Finding)
        assert_type(finding.damage, Damage)
    await manager.revoke_user_sessions("user_123", grace="an hour")  # type: ignore[arg-type]


async def jobs(manager: SessionManager) -> None:
    jobs = SessionJobs(manager)
    assert_type(jobs, SessionJobs)
    job = await jobs.delete_user_sessions("user_123", grace=timedelta(hours=1), max_affected=10)
    assert_type(job, Job)
    async for progress in job.watch():
        assert_type(progress, JobProgress)
        assert_type(progress.state, JobState)
        assert_type(progress.receipt, Receipt | None)
    assert_type(await job.wait(timeout=60), JobProgress)
    assert_type(await job.undo(), JobProgress)
    assert_type(await jobs.preview_user_deletion("user_123"), Preview)
    assert_type(await jobs.list(state=JobState.FAILED, kind=JobKind.PRUNE), JobPage)
    await jobs.delete_user_sessions("user_123", gracious=True)  # type: ignore[call-arg]


async def errors(manager: SessionManager) -> None:
    try:
        await manager.get_session(SESSION_ID)
    except StoreOutcomeUnknownError as error:
        timeout: TimeoutError = error
        ours: AgentSessionsError = error
        print(timeout, ours)  # noqa: T201
