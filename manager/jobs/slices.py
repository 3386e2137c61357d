"""One stay of a worker with one job."""

from typing import NamedTuple

from agent_runtime.manager.errors import InvalidArgumentError
from agent_runtime.manager.models.jobs import JobKind
from agent_runtime.manager.settings import MOST_PARTITIONS
from agent_runtime.manager.validation import check_count


class Slice(NamedTuple):
    """A stretch of work on a job, of some seconds. Of two with one number, the later one is void."""

    job_id: str
    kind: JobKind
    #: 0, or another number for work on the same job beside it.
    shard: int = 0
    #: None for the next one, whatever its number.
    number: int | None = None

    @staticmethod
    def check(shard: object, number: object) -> None:
        """Refuse what only a message that nobody here has sent can ask for.

        Raises:
            InvalidArgumentError: one of them is of the wrong type or out of range.
        """
        if check_count("shard", shard, 0) > MOST_PARTITIONS:
            raise InvalidArgumentError(f"shard must be at most {MOST_PARTITIONS}, not {shard}")
        if number is not None:
            check_count("number", number, 1)
