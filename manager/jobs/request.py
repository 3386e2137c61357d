"""Options of a request for a job, checked before anything is written."""

import hashlib
from datetime import timedelta
from typing import Any, NamedTuple, Self, TypedDict

from agent_runtime.manager.errors import InvalidArgumentError
from agent_runtime.manager.new_ids import JOB_PREFIX, new_job_id
from agent_runtime.manager.validation import LONGEST_SECONDS, check_count, check_text, shown

#: Longest `job_id`, `requested_by`, `reason` and `idempotency_key`, bytes.
MAX_TEXT_BYTES = 1_000


class JobOptions(TypedDict, total=False):
    """Keyword arguments of every method that asks for a job.

    Example:
        >>> options: JobOptions = {"grace": timedelta(hours=1), "reason": "retired"}
    """

    grace: float | timedelta
    """Begin only after so long (seconds or timedelta); until the job begins, `undo()` undoes it. A deletion
    revokes at once. If the request joins an open job, the sooner of the two beginnings counts."""
    max_affected: int
    """Refuse (`TooManyAffectedError`) if more sessions, or for a pruning checkpoints, would go."""
    requested_by: str
    """Name of whoever asks, for the record."""
    reason: str
    """Reason, for the record."""
    idempotency_key: str
    """Get the same job for another request with the same key, as long as the job's record is kept."""


class JobRequest(NamedTuple):
    """Checked options, and the id under which the request is known.

    Example:
        >>> JobRequest.checked("job_1", grace=60).grace_ms
        60000
    """

    job_id: str
    grace_ms: int = 0
    max_affected: int | None = None
    details: tuple[str, ...] = ()
    """Fields for the record, names and values in turn."""
    given: bool = False
    """True if the caller chose the id, or a key that makes it."""

    @classmethod
    def checked(cls, job_id: str | None = None, **options: Any) -> Self:
        """Return the request that these `JobOptions` mean.

        Raises:
            InvalidArgumentError: an option is unknown or not acceptable.

        Example:
            >>> JobRequest.checked(grace=timedelta(minutes=1)).grace_ms
            60000
        """
        unknown = options.keys() - JobOptions.__annotations__.keys()
        if unknown:
            known = ", ".join(sorted(JobOptions.__annotations__))
            raise InvalidArgumentError(f"unknown option {', '.join(sorted(unknown))}; there are {known}")
        max_affected = options.get("max_affected")
        details: list[str] = []
        for name in ("requested_by", "reason"):
            if options.get(name) is not None:
                details += [name, check_text(name, options[name], MAX_TEXT_BYTES)]
        return cls(
            _request_id(job_id, options.get("idempotency_key")),
            _grace_ms(options.get("grace")),
            None if max_affected is None else check_count("max_affected", max_affected, 0),
            tuple(details),
            job_id is not None or options.get("idempotency_key") is not None,
        )


def _grace_ms(grace: object) -> int:
    if grace is None:
        return 0
    seconds = grace.total_seconds() if isinstance(grace, timedelta) else grace
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= LONGEST_SECONDS:  # type: ignore[operator]
        raise InvalidArgumentError(
            f"grace must be from 0 to {LONGEST_SECONDS} seconds, or a timedelta, not {shown(grace)}"
        )
    return round(seconds * 1000)  # type: ignore[operator]


def _request_id(job_id: str | None, key: object) -> str:
    """Return the id given, or one made of the key (the same for the same key), or a new one."""
    if key is None:
        return new_job_id() if job_id is None else check_text("job_id", job_id, MAX_TEXT_BYTES)
    if job_id is not None:
        raise InvalidArgumentError("job_id and idempotency_key both name the job: give one of them")
    check_text("idempotency_key", key, MAX_TEXT_BYTES)
    return JOB_PREFIX + hashlib.blake2b(str(key).encode(), digest_size=16).hexdigest()
