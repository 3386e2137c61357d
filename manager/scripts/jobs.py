"""One typed function for each script that keeps the records of jobs.

A script that changes a record answers with it.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts.batches import Selection
from agent_runtime.manager.scripts.replies import score_of, text_of
from agent_runtime.manager.transport.script import load_script
from agent_runtime.manager.transport.script_client import ScriptClient

_OPEN_JOB = load_script("jobs/open_job")
_OPEN_PART = load_script("jobs/open_part")
_MARK_OPENED = load_script("jobs/mark_opened")
_READ_JOB = load_script("jobs/read_job")
_LIST_JOBS = load_script("jobs/list_jobs")
_CONTROL_JOB = load_script("jobs/control_job")
_BEGIN_SLICE = load_script("jobs/begin_slice")
_END_SLICE = load_script("jobs/end_slice")
_HEARTBEAT_JOB = load_script("jobs/heartbeat_job")
_CLOSE_TO_JOINS = load_script("jobs/close_to_joins")
_COMPLETE_JOB = load_script("jobs/complete_job")
_KEEP_PART = load_script("jobs/keep_part")
_TAKE_STALLED_JOBS = load_script("jobs/take_stalled_jobs")

#: The cursor of a listing that begins with the newest job.
NEWEST = ("+inf", "")

#: The record of a job in one partition; empty if there is none.
Fields = dict[str, str]


class Work(NamedTuple):
    """The work of a job in one partition, as its record keeps it."""

    kind: str
    #: JSON.
    params: str
    selection: Selection


class Request(NamedTuple):
    """One request for a job, as its record keeps it."""

    request_id: str
    grace_ms: int = 0
    max_affected: int | None = None
    #: Further fields of the record and their values in turn.
    details: Sequence[str] = ()


class Periods(NamedTuple):
    """The time for which a job's record is kept, and the silence after which it is stalled, milliseconds."""

    retention_ms: int
    silence_ms: int


class OpenReply(StrEnum):
    """Outcome of a request for a job."""

    OPEN = "OPEN"
    """The job is open."""
    CONFLICT = "CONFLICT"
    """The request's id is that of other work."""
    UNDOING = "UNDOING"
    """A job with the same work is being undone."""
    TOO_MANY = "TOO_MANY"
    """More than `max_affected` would go."""


class OpenAnswer(NamedTuple):
    """The answer to a request for a job."""

    reply: OpenReply
    #: Sessions that the request added to the job's work; if too many would go, how many would.
    added: int
    #: The request's place among those that the job took, if there are other parts to be written; else 0.
    number: int
    job_id: str
    fields: Fields


class BeginReply(StrEnum):
    """Outcome of the beginning of a slice."""

    BEGUN = "BEGUN"
    """The slice has begun."""
    HALTED = "HALTED"
    """The job waits for its time, is paused, or has ended."""
    REPEATED = "REPEATED"
    """Another message for the same slice came first."""
    GONE = "GONE"
    """There is no such job, or its record has expired."""


class BeginAnswer(NamedTuple):
    """The answer to the beginning of a slice."""

    reply: BeginReply
    number: int
    #: Attempts in a row, before this one, that came to nothing.
    attempts: int
    job_id: str
    fields: Fields


class Elsewhere(NamedTuple):
    """Progress of a job in its other partitions, for the script in its home, which cannot see them."""

    done: int = 0
    position: str = ""


#: The progress elsewhere of a job without other partitions.
NOWHERE = Elsewhere()


async def open_job(
    client: ScriptClient,
    keys: Keys,
    work: Work,
    request: Request,
    periods: Periods,
    *,
    join: bool,
    has_other_parts: bool,
) -> OpenAnswer:
    """Open a job in its home, or join the open job with the same work."""
    request_key, index_key = keys.job(request.request_id), work.selection.index_key
    places = [request_key, keys.jobs, keys.open_job(f"{work.kind}:{work.params}"), index_key, keys.history]
    most = "" if request.max_affected is None else request.max_affected
    args: list[Any] = [keys.prefix, request.request_id, work.kind, work.params, *work.selection[1:]]
    args += [int(join), int(has_other_parts), request.grace_ms, *periods, most, *request.details]
    word, *rest = await client.call(_OPEN_JOB, places, args)
    reply = OpenReply(word.decode())
    if reply is OpenReply.OPEN:
        added, number, job_id, fields = rest
        return OpenAnswer(reply, int(added), int(number), job_id.decode(), _fields(request_key, fields))
    if reply is OpenReply.UNDOING:
        return OpenAnswer(reply, 0, 0, rest[0].decode(), {})
    return OpenAnswer(reply, int(rest[0]) if rest else 0, 0, "", {})


async def open_part(
    client: ScriptClient,
    keys: Keys,
    work: Work,
    job_id: str,
    *,
    number: int,
    grace_ms: int,
    retention_ms: int,
) -> tuple[int, int, Fields]:
    """Open the part of a job in another partition, or take a further request into it. Return the number of
    sessions that the request added, how long the part is kept (ms), and its record.
    """
    job_key = keys.job(job_id)
    args = [keys.prefix, job_id, work.kind, work.params, *work.selection[1:], number, grace_ms, retention_ms]
    added, kept_ms, fields = await client.call(_OPEN_PART, [job_key, work.selection.index_key], args)
    return int(added), int(kept_ms), _fields(job_key, fields)


async def mark_opened(
    client: ScriptClient,
    keys: Keys,
    job_id: str,
    request_id: str,
    *,
    added: int,
    kept_ms: int,
    silence_ms: int,
) -> Fields:
    """Note that this request is in all parts of the job, the number of sessions that those beyond its home
    added, and for how long the home part must be kept too.
    """
    places = [keys.job(job_id), keys.jobs, keys.history, keys.job(request_id)]
    args = [request_id, added, kept_ms, silence_ms, job_id]
    return _fields(places[0], await client.call(_MARK_OPENED, places, args))


async def read_job(client: ScriptClient, keys: Keys, job_id: str) -> tuple[str, Fields]:
    """Return id and record of the job, or of the one that was joined under this id."""
    found_id, fields = await client.call(_READ_JOB, [keys.job(job_id)], [keys.prefix, job_id])
    return text_of(keys.job(job_id), found_id), _fields(keys.job(job_id), fields)


async def list_jobs(
    client: ScriptClient, keys: Keys, after: tuple[str, str], limit: int
) -> list[tuple[int, str]]:
    """Return moments (ms) and ids of jobs whose home is this partition, newest first."""
    flat: list[bytes] = await client.call(_LIST_JOBS, [keys.history], [*after, limit])
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [(score_of(keys.history, ms), job_id.decode(errors="replace")) for job_id, ms in pairs]


async def control_job(
    client: ScriptClient, keys: Keys, job_id: str, *, spec: str, action: str, periods: Periods
) -> tuple[bool, Fields]:
    """Pause, resume, cancel or undo a job. Return True if its state allowed that, and its record."""
    places = [keys.job(job_id), keys.jobs, keys.open_job(spec), keys.history]
    args = [job_id, action, periods.silence_ms, periods.retention_ms]
    word, fields = await client.call(_CONTROL_JOB, places, args)
    return word == b"ALLOWED", _fields(places[0], fields)


async def begin_slice(
    client: ScriptClient,
    keys: Keys,
    job_id: str,
    *,
    shard: int,
    number: int | None,
    token: str,
    silence_ms: int,
    elsewhere: Elsewhere,
) -> BeginAnswer:
    """Begin a slice of the job, or of the one that was joined under this id, if it may be worked on now."""
    places = [keys.job(job_id), keys.jobs]
    args = [keys.prefix, job_id, shard, "" if number is None else number, token, silence_ms, *elsewhere]
    word, *rest = await client.call(_BEGIN_SLICE, places, args)
    reply = BeginReply(word.decode())
    if not rest:
        return BeginAnswer(reply, 0, 0, "", {})
    begun, attempts, found_id, fields = rest
    return BeginAnswer(
        reply, int(begun), int(attempts), text_of(places[0], found_id), _fields(places[0], fields)
    )


async def end_slice(
    client: ScriptClient,
    keys: Keys,
    job_id: str,
    *,
    shard: int,
    token: str,
    elsewhere: Elsewhere = NOWHERE,
    reason: str = "",
    max_attempts: int = 0,
    retention_ms: int = 0,
) -> Fields:
    """End a slice of a job and return the job's record.

    With a reason, the slice counts as an attempt that came to nothing, and the job fails after too many of
    them in a row. Without one, it ends in good order.
    """
    places = [keys.job(job_id), keys.jobs, keys.history]
    args = [job_id, shard, token, elsewhere.position, reason, max_attempts, retention_ms]
    return _fields(places[0], await client.call(_END_SLICE, places, args))


async def heartbeat_job(client: ScriptClient, keys: Keys, job_id: str) -> bool:
    """Write the job's heartbeat. Return True if the job is to go on."""
    return bool(await client.call(_HEARTBEAT_JOB, [keys.job(job_id), keys.jobs], [job_id]))


async def close_to_joins(
    client: ScriptClient, keys: Keys, job_id: str, *, spec: str, joins: str
) -> tuple[bool, Fields]:
    """Close a job to further requests. Return True if it can be completed now, and its record."""
    places = [keys.job(job_id), keys.jobs, keys.open_job(spec)]
    word, fields = await client.call(_CLOSE_TO_JOINS, places, [job_id, joins])
    return word == b"CLOSED", _fields(places[0], fields)


async def complete_job(
    client: ScriptClient, keys: Keys, job_id: str, *, retention_ms: int, receipt: str
) -> Fields:
    """Complete a job that is closed to joins, unless it was stopped meanwhile. Return its record."""
    places = [keys.job(job_id), keys.jobs, keys.history]
    return _fields(places[0], await client.call(_COMPLETE_JOB, places, [job_id, retention_ms, receipt]))


async def keep_part(
    client: ScriptClient, keys: Keys, job_id: str, retention_ms: int, *, exactly: bool
) -> None:
    """Keep the part of a job in another partition for so long from now, or at least."""
    await client.call(_KEEP_PART, [keys.job(job_id)], [retention_ms, int(exactly)])


async def take_stalled_jobs(client: ScriptClient, keys: Keys, silence_ms: int, limit: int) -> list[str]:
    """Return ids of open jobs without a heartbeat for that long, longest silent first; each once a period,
    which doubles while no slice of it begins.
    """
    reply: list[bytes] = await client.call(_TAKE_STALLED_JOBS, [keys.jobs], [keys.prefix, silence_ms, limit])
    # An id that is no text must not keep others from being published.
    return [job_id.decode(errors="replace") for job_id in reply]


def _fields(key: bytes, flat: list[Any]) -> Fields:
    texts = [text_of(key, part) for part in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))
