"""What is said of a job that failed because it killed the processes that worked on it."""

from agent_runtime.manager.jobs.records import Record
from agent_runtime.manager.models.jobs import JobKind, JobState

_STEPS = {
    JobKind.DELETE_USER: "reclaiming sessions",
    JobKind.DELETE_AGENT: "reclaiming sessions",
    JobKind.PRUNE: "pruning checkpoints",
    JobKind.SWEEP: "sweeping expired sessions",
}


def reason_of_failure(job: Record, deaths: int) -> str:
    """Why the job fails if so many processes have died of it where it is now.

    Example:
        >>> reason_of_failure(job, deaths=5)
        '5 processes in a row died, or were not heard of again, as soon as they worked on it …'
    """
    return (
        f"{deaths} processes in a row died, or were not heard of again, as soon as they worked on it, and"
        f" nothing was done in between. It was {_step(job)}, with {job.total_of('done')} of"
        f" {job.total_of('total')} sessions done. Look for the end of a worker's process in its log"
        " (WorkerLostError, SIGKILL, a time limit), and at its memory"
    )


def _step(job: Record) -> str:
    """What it did when it was last heard of."""
    left = [part.keys.number for part in job.parts if "drained" not in part.fields]
    if not left:
        return "at its end, where a deletion checks what is left and gets its receipt"
    step = "bringing sessions back" if job.state is JobState.UNDOING else _STEPS[job.spec.kind]
    where = f"partition {left[0]}" if len(left) == 1 else f"{len(left)} partitions"
    return f"{step} in {where}"
