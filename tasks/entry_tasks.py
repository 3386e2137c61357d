"""Tasks that callers enqueue. Each opens a job in the job store and hands its own task id on to the job's
slices.

An entry task is acknowledged only when it has run, and tries for as long as it takes, because until then
nothing but its message knows of the work. It takes milliseconds and is safe to repeat: its task id is the
job's id.
"""

from contextlib import suppress
from typing import Any, Unpack

from agent_runtime.manager.jobs import EnqueueError, JobOptions, JobRequest, JobSpec, JobState
from agent_runtime.tasks.async_bridge import bridge
from agent_runtime.tasks.job_tasks import RETRY_WHILE_STORE_IS_AWAY, result_of, runs_inline, signature_of
from agent_runtime.tasks.task_definitions import SessionTask, define_task

_ENTRY: dict[str, Any] = {
    "acks_late": True,
    "reject_on_worker_lost": True,
    "max_retries": None,
    **RETRY_WHILE_STORE_IS_AWAY,
}


@define_task("tasks.delete_user_sessions", **_ENTRY)
def delete_user_sessions(self: SessionTask, user_id: str, **options: Unpack[JobOptions]) -> int:
    """Delete the sessions that a user has when this runs.

    Args:
        user_id: whose.
        options: `JobOptions`, as JSON (`grace` in seconds).

    Returns:
        How many sessions. If a deletion of the user was open and this joined it, or with an idempotency key:
        how many this added, without waiting for the job.

    Raises:
        InvalidArgumentError: the id or an option is not acceptable; not tried again.
        TooManyAffectedError: there are more than `max_affected`; not tried again.

    Example:
        >>> delete_user_sessions.delay("user_123", reason="asked to be forgotten").get(timeout=60)
        3
    """
    return _start(self, bridge(self.settings).manager.jobs.user_deletion(user_id), options)


@define_task("tasks.delete_agent_sessions", **_ENTRY)
def delete_agent_sessions(self: SessionTask, agent_id: str, **options: Unpack[JobOptions]) -> int:
    """Delete the sessions that an agent has when this runs, over every partition.

    Otherwise as `delete_user_sessions`.

    Example:
        >>> delete_agent_sessions.delay("chatbot").get(timeout=60)
        3
    """
    return _start(self, bridge(self.settings).manager.jobs.agent_deletion(agent_id), options)


@define_task("tasks.prune_checkpoints", **_ENTRY)
def prune_checkpoints(
    self: SessionTask,
    session_id: str | None = None,
    agent_id: str | None = None,
    keep_last: int | None = None,
    older_than: float | None = None,
    except_agents: list[str] | None = None,
    **options: Unpack[JobOptions],
) -> int:
    """Remove checkpoints of one session, of an agent's sessions, or of all.

    Args:
        session_id: prune only this session.
        agent_id: prune only the sessions of this agent.
        keep_last: remove all but the newest so many of each session.
        older_than: remove those of this age and more, seconds. The newest of a session always stays.
        except_agents: leave the sessions of these agents alone.
        options: `JobOptions`, as JSON (`grace` in seconds).

    Returns:
        How many checkpoints; 0 if the same pruning is open already, which then does the work, and with an
        idempotency key as long as the job is open.

    Raises:
        InvalidArgumentError: no limit at all, or a value out of range; not tried again.
        TooManyAffectedError: more than `max_affected` checkpoints would go; not tried again.

    Example:
        >>> prune_checkpoints.delay(agent_id="chatbot", keep_last=5).get(timeout=60)
        40
    """
    jobs = bridge(self.settings).manager.jobs
    return _start(self, jobs.pruning(session_id, agent_id, keep_last, older_than, except_agents), options)


@define_task("tasks.cleanup_expired_sessions", **_ENTRY)
def cleanup_expired_sessions(self: SessionTask, **options: Unpack[JobOptions]) -> int:
    """Remove what is left of expired sessions in the indexes.

    Returns:
        How many sessions; 0 if another sweep is open already, which then does the work, and with an
        idempotency key as long as the job is open.

    Example:
        >>> cleanup_expired_sessions.delay().get(timeout=60)
        12
    """
    return _start(self, bridge(self.settings).manager.jobs.sweep(), options)


def _start(task: SessionTask, spec: JobSpec, options: JobOptions) -> int:
    """Open the job, and replace this task by the job's first slice under the same task id."""
    here = bridge(task.settings)
    if runs_inline(task):
        opened = here.run(here.manager.jobs.open(spec, JobRequest.checked(**options), join=False))
        return here.run(here.manager.jobs.run(opened.job_id)).removed
    task_id = task.request.id if options.get("idempotency_key") is None else None
    request = JobRequest.checked(task_id, **options)
    opened = here.run(here.manager.jobs.open(spec, request))
    job, its_share = opened.record, opened.added if spec.deletes else 0
    if job.state is JobState.DONE and opened.job_id != request.job_id:
        return its_share  # what the whole job removed is the answer of the request that opened it
    if job.state.ended:
        return result_of(task, job.progress())
    first, *beside = job.next_slices(task.settings.job_parallelism)
    other_job = opened.job_id != task.request.id  # one that this joined, or that of an idempotency key
    with suppress(
        EnqueueError
    ):  # the first slice does the work of those beside it too; a rescue publishes them
        task.publisher.send([first, *beside] if other_job else beside)
    if not other_job:
        return task.replace(signature_of(task, first))  # type: ignore[no-any-return]
    return its_share
