"""One stay of a worker with one job."""

from typing import NamedTuple

from agent_runtime.manager.models.jobs import JobKind


class Slice(NamedTuple):
    """A stretch of work on a job, of some seconds. Of two with one number, the later one is void."""

    job_id: str
    kind: JobKind
    #: 0, or another number for work on the same job beside it.
    shard: int = 0
    #: None for the next one, whatever its number.
    number: int | None = None
