"""Conditions that hold when all processes have ended, used by several tests."""

import redis

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.jobs import JobStateError
from tests.concurrency.history import History
from tests.support.jobs import receipts_of
from tests.support.leftovers import find_leftovers


def assert_before_gone_and_after_there(history: History, live: set[str]) -> None:
    """Assert that deletions remove exactly the sessions that were created before them.

    All deletions are of the one user or agent of all sessions. A session whose creation was answered before a
    deletion was called is gone. A session whose creation was called after all deletions were answered is
    live.
    """
    deletions = [each for each in history if each.name.startswith("delete_")]
    for created in (each for each in history if each.name == "create"):
        if any(created.responded < deletion.invoked and deletion.answered for deletion in deletions):
            assert created.result not in live, created
        if created.answered and all(deletion.responded < created.invoked for deletion in deletions):
            assert created.result in live, created


async def assert_receipts(manager: SessionManager, deleted: int) -> None:
    """Assert that the chain of receipts is whole and covers so many sessions, and that nothing was left."""
    receipts = await receipts_of(manager)
    assert (await manager.jobs.receipts.verify()).problems == []
    assert sum(receipt.sessions for receipt in receipts) == deleted
    assert sum(receipt.residue.sessions for receipt in receipts) == 0


async def assert_listed_by_own_agent_alone(raw: redis.Redis, settings: Settings, agents: list[str]) -> None:
    """Assert that every live session is in the index of exactly one of these agents."""
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
    """Run or undo the jobs that processes have left open."""
    for job in (await manager.jobs.list(limit=500)).jobs:
        if not job.state.ended:
            try:
                if undo:
                    await manager.jobs.control(job.job_id, "undo")
                assert (await manager.jobs.run(job.job_id)).state.ended
            except JobStateError:  # a later deletion reclaims its sessions
                await manager.jobs.control(job.job_id, "cancel")
                await manager.delete_user_sessions(str(job.target))
