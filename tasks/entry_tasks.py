"""What callers enqueue. Each opens a job in the ledger and hands its own task id on to the job's slices.

An entry task is acknowledged only when it has run, and tries for as long as it takes, because until then
nothing but its message knows of the work. It takes milliseconds and is safe to repeat: its task id is the
job's id.
"""

from collections.abc import Coroutine
from typing import Any

from celery import Task

from manager import SessionManager
from tasks.bridge import bridge
from tasks.celery_app import app
from tasks.job_tasks import RETRY_WHILE_STORE_IS_AWAY, runs_inline, slice_of

_ENTRY = {
    "bind": True,
    "acks_late": True,
    "reject_on_worker_lost": True,
    "max_retries": None,
    **RETRY_WHILE_STORE_IS_AWAY,
}


@app.task(name="tasks.delete_user_sessions", **_ENTRY)
def delete_user_sessions(self: "Task[Any, Any]", user_id: str) -> int:
    """Deletes the sessions that a user has when this runs.

    Returns:
        How many sessions.

    Raises:
        InvalidArgumentError: the id is not acceptable; not tried again.

    Example:
        >>> delete_user_sessions.delay("user_123").get(timeout=60)
        3
    """
    if runs_inline(self):
        return _run(_manager().delete_user_sessions(user_id))
    return _hand_on(self, _manager().revoke_user_sessions(user_id, self.request.id))


@app.task(name="tasks.delete_agent_sessions", **_ENTRY)
def delete_agent_sessions(self: "Task[Any, Any]", agent_id: str) -> int:
    """Deletes the sessions that an agent has when this runs, over every partition.

    Returns:
        How many sessions.

    Raises:
        InvalidArgumentError: the id is not acceptable; not tried again.

    Example:
        >>> delete_agent_sessions.delay("chatbot").get(timeout=60)
        3
    """
    if runs_inline(self):
        return _run(_manager().delete_agent_sessions(agent_id))
    return _hand_on(self, _manager().revoke_agent_sessions(agent_id, self.request.id))


@app.task(name="tasks.prune_checkpoints", **_ENTRY)
def prune_checkpoints(
    self: "Task[Any, Any]",
    session_id: str | None = None,
    agent_id: str | None = None,
    keep_last: int | None = None,
    older_than: float | None = None,
) -> int:
    """Removes checkpoints of one session, of an agent's sessions, or of all.

    Args:
        session_id: prune only this session.
        agent_id: prune only the sessions of this agent.
        keep_last: remove all but the newest so many of each session.
        older_than: remove those of this age and more, seconds. The newest of a session always stays.

    Returns:
        How many checkpoints; 0 where the same pruning is open already, which then does the work.

    Raises:
        InvalidArgumentError: no limit at all, or a value out of range; not tried again.

    Example:
        >>> prune_checkpoints.delay(agent_id="chatbot", keep_last=5).get(timeout=60)
        40
    """
    manager = _manager()
    if runs_inline(self):
        return _run(manager.prune_checkpoints(session_id, agent_id, keep_last, older_than))
    policy = manager.prune_policy(session_id, agent_id, keep_last, older_than)
    return _hand_on(self, manager.ledger.open_pruning(policy, self.request.id, join=True))


@app.task(name="tasks.cleanup_expired_sessions", **_ENTRY)
def cleanup_expired_sessions(self: "Task[Any, Any]") -> int:
    """Removes what is left in the indexes of sessions that ran out.

    Returns:
        How many sessions; 0 where another sweep is open already, which then does the work.

    Example:
        >>> cleanup_expired_sessions.delay().get(timeout=60)
        12
    """
    if runs_inline(self):
        return _run(_manager().cleanup_expired_sessions())
    return _hand_on(self, _manager().ledger.open_sweep(self.request.id, join=True))


def _manager() -> SessionManager:
    return bridge().manager


def _run(work: Coroutine[Any, Any, int]) -> int:
    return bridge().run(work)


def _hand_on(task: "Task[Any, Any]", opening: Coroutine[Any, Any, str]) -> int:
    """Opens the job and replaces this task by its first slice, under the same task id."""
    here = bridge()
    job_id = here.run(opening)
    if job_id != task.request.id:  # joined another job
        return 0
    progress = here.run(here.manager.ledger.progress(job_id))
    if progress.finished:
        return progress.removed
    return task.replace(slice_of(progress))  # type: ignore[no-any-return]
