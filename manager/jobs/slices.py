"""A slice: a stretch of work on a job."""

from typing import NamedTuple

from agent_runtime.manager.errors import InvalidArgumentError
from agent_runtime.manager.jobs.request import MAX_TEXT_BYTES
from agent_runtime.manager.models.jobs import JobKind
from agent_runtime.manager.settings import MOST_PARTITIONS
from agent_runtime.manager.validation import check_count, check_text


class Slice(NamedTuple):
    """A stretch of work on a job, of some seconds. Of two slices with one number, the later one is void.

    Example:
        >>> Slice("job_9k2Zt0c", JobKind.SWEEP, number=2).shard
        0
    """

    job_id: str
    kind: JobKind
    #: 0, or another number for work on the same job beside it.
    shard: int = 0
    #: None for the next slice, whatever its number.
    number: int | None = None

    @staticmethod
    def check(job_id: object, shard: object, number: object) -> None:
        """Refuse a slice that only a foreign message can ask for.

        Raises:
            InvalidArgumentError: one of the arguments is of the wrong type or out of range.
        """
        check_text("job_id", job_id, MAX_TEXT_BYTES)
        if check_count("shard", shard, 0) > MOST_PARTITIONS:
            raise InvalidArgumentError(f"shard must be at most {MOST_PARTITIONS}, not {shard}")
        if number is not None:
            check_count("number", number, 1)
