"""What has to hold when all processes have ended, used by several tests."""

import redis

from agent_runtime.manager import SessionManager, Settings
from tests.concurrency.history import History
from tests.support.jobs import receipts_of
from tests.support.leftovers import find_leftovers


def assert_before_gone_and_after_there(history: History, live: set[str]) -> None:
    """All deletions are of the one user or agent of all sessions: one that was answered before a deletion
    was called is gone, and one that was called after all of them were answered is live.
    """
    deletions = [each for each in history if each.name.startswith("delete_")]
    for created in (each for each in history if each.name == "create"):
        if any(created.responded < deletion.invoked and deletion.answered for deletion in deletions):
            assert created.result not in live, created
        if created.answered and all(deletion.responded < created.invoked for deletion in deletions):
            assert created.result in live, created


async def assert_receipts(manager: SessionManager, deleted: int) -> None:
    """The chain of receipts is whole and covers so many sessions.

    Their residue may be more than 0 here: what another deletion of the same target, which began before, has
    revoked and not reclaimed yet.
    """
    receipts = await receipts_of(manager)
    assert (await manager.jobs.receipts.verify()).problems == []
    assert sum(receipt.sessions for receipt in receipts) == deleted


async def assert_listed_by_own_agent_alone(raw: redis.Redis, settings: Settings, agents: list[str]) -> None:
    """No live session is in the indexes of two of these agents, or in none."""
    assert find_leftovers(raw, settings.namespace) == []
    async with SessionManager.from_settings(settings) as manager:
        listed = [
            (each.session_id, agent, each.agent_id)
            for agent in agents
            for each in await manager.get_sessions_by_agent(agent)
        ]
        live = await manager.get_active_session_count()
    assert all(agent == own for _, agent, own in listed)
    assert len({session_id for session_id, *_ in listed}) == len(listed) == live


async def end_open_jobs(manager: SessionManager, *, undo: bool = False) -> None:
    """What processes have left open, drained or undone."""
    for job in (await manager.jobs.list(limit=500)).jobs:
        if not job.state.ended:
            if undo:
                await manager.jobs.control(job.job_id, "undo")
            assert (await manager.jobs.run(job.job_id)).state.ended
