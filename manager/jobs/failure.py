"""The reason that is given if a job fails because the processes that worked on it died."""

from agent_runtime.manager.jobs.records import Record
from agent_runtime.manager.models.jobs import JobState


def reason_of_failure(job: Record, attempts: int) -> str:
    """Return why the job fails after so many attempts in a row that came to nothing at its present position.

    Example:
        >>> reason_of_failure(job, attempts=5)
        '5 attempts in a row came to nothing: the process of the last one died, or was not heard of again …'
    """
    return (
        f"{attempts} attempts in a row came to nothing: the process of the last one died, or was not heard of"
        f" again. The job was {_step(job)}, with {job.total_of('done')} of {job.total_of('total')} sessions"
        " done. Look for the end of a worker's process in its log (WorkerLostError, SIGKILL, a time limit),"
        " and at its memory"
    )


def _step(job: Record) -> str:
    """Return what the job did when it was last heard of."""
    left = [part.keys.number for part in job.parts if "drained" not in part.fields]
    if not left:
        return "at its end, when a deletion checks what is left and gets its receipt"
    step = "restoring sessions" if job.state is JobState.UNDOING else job.spec.step
    where = f"partition {left[0]}" if len(left) == 1 else f"{len(left)} partitions"
    return f"{step} in {where}"
