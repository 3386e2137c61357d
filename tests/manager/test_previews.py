"""Previews say exactly what a job would do, before it is requested, and change nothing."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import redis

from agent_runtime.manager import InvalidArgumentError, SessionManager
from agent_runtime.manager.jobs import (
    AgentDeletion,
    JobKind,
    JobSpec,
    Preview,
    Sweep,
    TooManyAffectedError,
    UserDeletion,
)
from agent_runtime.manager.jobs.request import JobRequest
from tests.support.keyspace import snapshot
from tests.support.sessions import create_sessions, let_expire, save_turns

Opener = Callable[..., SessionManager]

PARTITIONS = pytest.mark.parametrize("partitions", [1, 4])
KINDS = pytest.mark.parametrize("kind", ["user", "agent", "sweep", "pruning", "pruning of a session"])


async def _prepare(manager: SessionManager, kind: str) -> tuple[JobSpec, int, int]:
    """Work, how many sessions it is about and how many checkpoints it removes, among others."""
    await create_sessions(manager, 3, "carl", "other")
    if kind == "sweep":
        expired = [each for user in range(8) for each in await create_sessions(manager, 5, f"user_{user}")]
        await let_expire(manager, *expired)
        return Sweep(), 40, 0
    users = ["ann"] if kind == "user" else [f"user_{number}" for number in range(8)]
    sessions = [each for user in users for each in await create_sessions(manager, 5, user)]
    for session in sessions:
        ids = await save_turns(manager, session.session_id, 4)
        await manager.pin_checkpoint(session.session_id, ids[0])
    works = {
        "user": (UserDeletion("ann"), 5, 20),
        "agent": (AgentDeletion("bot"), 40, 160),
        "pruning": (manager.jobs.pruning(keep_last=2, except_agents=["other"]), 40, 40),
        "pruning of a session": (manager.jobs.pruning(sessions[7].session_id, keep_last=1), 1, 2)
        if kind != "user"
        else None,
    }
    work = works[kind]
    assert work is not None
    return work


async def _run(manager: SessionManager, work: JobSpec, order: JobRequest | None = None) -> int:
    opened = await manager.jobs.open(work, order or JobRequest.checked())
    return (await manager.jobs.run(opened.job_id)).removed


@PARTITIONS
@KINDS
async def test_a_preview_is_exact_and_changes_nothing(
    open_manager: Opener, raw: redis.Redis, namespace: str, partitions: int, kind: str
) -> None:
    manager = open_manager(partitions=partitions)
    work, sessions, checkpoints = await _prepare(manager, kind)
    before = snapshot(raw, namespace)

    preview = await manager.jobs.preview(work)

    assert snapshot(raw, namespace) == before
    assert (preview.kind, preview.target) == (work.kind, work.target)
    assert (preview.sessions, preview.checkpoints) == (sessions, checkpoints)
    assert preview.bytes > 0
    assert 0 < len(preview.sample) == len(set(preview.sample)) <= 5
    assert preview.affected == (checkpoints if work.kind is JobKind.PRUNE else sessions)
    assert await _run(manager, work) == preview.affected
    assert await manager.jobs.preview(work) == Preview(
        kind=work.kind, target=work.target, sessions=0, checkpoints=0, affected=0, bytes=0, sample=[]
    )


@PARTITIONS
@KINDS
async def test_more_than_was_allowed_is_refused_and_nothing_is_changed(
    open_manager: Opener, raw: redis.Redis, namespace: str, partitions: int, kind: str
) -> None:
    manager = open_manager(partitions=partitions)
    work, *_ = await _prepare(manager, kind)
    affected = (await manager.jobs.preview(work)).affected
    for allowed in (0, affected - 1):
        before = snapshot(raw, namespace)
        with pytest.raises(
            TooManyAffectedError, match=f"^{affected} would go, more than max_aff.*={allowed};"
        ):
            await manager.jobs.open(work, JobRequest.checked(max_affected=allowed))
        assert snapshot(raw, namespace) == before
    assert await _run(manager, work, JobRequest.checked(max_affected=affected)) == affected


@PARTITIONS
async def test_what_a_request_has_done_already_is_not_refused_to_its_repetition(
    open_manager: Opener, partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    work, *_ = await _prepare(manager, "agent")
    order = JobRequest.checked("job_mine", max_affected=40)
    opened = await manager.jobs.open(work, order)
    for user in range(8):
        await create_sessions(manager, 10, f"user_{user}")
    assert await manager.jobs.open(work, order) == opened
    assert (await manager.jobs.run("job_mine")).removed == 40


async def test_sessions_that_ran_out_count_for_no_deletion(manager: SessionManager) -> None:
    expired, *_ = await create_sessions(manager, 3)
    await let_expire(manager, expired)
    work = UserDeletion("ann")
    assert (await manager.jobs.preview(work)).sessions == 2
    assert await _run(manager, work, JobRequest.checked(max_affected=2)) == 2


@pytest.mark.parametrize("allowed", [-1, 1.5, "3", True])
async def test_a_limit_that_is_none_is_refused(manager: SessionManager, allowed: object) -> None:
    with pytest.raises(InvalidArgumentError, match="max_affected must be a whole number of at least 0"):
        await manager.revoke_user_sessions("ann", max_affected=allowed)  # type: ignore[arg-type]


async def test_a_preview_of_many_sessions_takes_several_pages(
    manager: SessionManager, open_manager: Opener
) -> None:
    await create_sessions(manager, 1_500)
    hasty = open_manager(batch_target_ms=0.001)
    for each in (manager, hasty):
        preview = await each.jobs.preview(AgentDeletion("bot"))
        assert preview.sessions == 1_500
        assert len(preview.sample) == 5


async def test_a_preview_of_a_session_with_many_checkpoints_is_exact(manager: SessionManager) -> None:
    [session] = await create_sessions(manager, 1)
    for _ in range(5):
        ids = await save_turns(manager, session.session_id, 1_000)
        await manager.pin_checkpoint(session.session_id, ids[500])
    for work in (manager.jobs.pruning(keep_last=10), manager.jobs.pruning(session.session_id, keep_last=10)):
        preview = await manager.jobs.preview(work)
        assert (preview.sessions, preview.checkpoints) == (1, 4_985)
        assert preview.bytes > 4_985
    assert await manager.prune_checkpoints(keep_last=10) == 4_985


async def test_a_preview_by_age_is_exact(manager: SessionManager, raw: redis.Redis) -> None:
    [session, young] = await create_sessions(manager, 2)
    ids = await save_turns(manager, session.session_id, 6)
    await save_turns(manager, young.session_id, 6)
    order = manager._context.partitions.home.checkpoint_order(session.session_id)
    raw.zadd(order, {name: number + 1 for number, name in enumerate(ids[:4])})
    await manager.pin_checkpoint(session.session_id, ids[1])
    policy = {"older_than": timedelta(days=1)}
    preview = await manager.jobs.preview(manager.jobs.pruning(**policy))  # type: ignore[arg-type]
    assert (preview.sessions, preview.checkpoints, preview.sample) == (1, 3, [session.session_id])
    assert await manager.prune_checkpoints(**policy) == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("session_id", ["sess_unknown", " ", "no id of ours", "\n"])
async def test_a_preview_of_a_session_that_is_not_there_is_empty(
    manager: SessionManager, session_id: str
) -> None:
    [session] = await create_sessions(manager, 1)
    await save_turns(manager, session.session_id, 3)
    preview = await manager.jobs.preview(manager.jobs.pruning(session_id, keep_last=1))
    assert (preview.sessions, preview.checkpoints, preview.sample) == (0, 0, [])
    assert await manager.prune_checkpoints(session_id, keep_last=1) == 0


@pytest.mark.parametrize(
    "preview",
    [
        lambda manager: manager.jobs.preview(manager.jobs.user_deletion("nobody")),
        lambda manager: manager.jobs.preview(manager.jobs.agent_deletion("nobody")),
        lambda manager: manager.jobs.preview(Sweep()),
        lambda manager: manager.jobs.preview(manager.jobs.pruning(keep_last=0)),
    ],
)
async def test_nothing_to_do_is_nothing(
    manager: SessionManager, preview: Callable[[SessionManager], Awaitable[Preview]]
) -> None:
    found = await preview(manager)
    assert (found.sessions, found.checkpoints, found.bytes, found.sample) == (0, 0, 0, [])
