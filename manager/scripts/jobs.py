"""One typed function per script of bulk work, as `manager.scripts` has them for sessions and checkpoints."""

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts.batches import Target
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
_FAIL_BATCH = load_script("jobs/fail_batch")
_CLOSE_TO_JOINS = load_script("jobs/close_to_joins")
_COMPLETE_JOB = load_script("jobs/complete_job")
_KEEP_PART = load_script("jobs/keep_part")
_TAKE_STALLED_JOBS = load_script("jobs/take_stalled_jobs")

#: Where a listing of jobs begins: before the newest.
NEWEST = ("+inf", "")


class OpenReply(NamedTuple):
    """What opening a job answers: `OPEN`, `CONFLICT`, `UNDOING` or `TOO_MANY`, and more behind it."""

    word: str
    job_id: str = ""
    added: int = 0
    #: The request's place among those that the job took, where parts in other partitions have to be
    #: written; else 0.
    number: int = 0


async def open_job(
    client: ScriptClient,
    keys: Keys,
    target: Target,
    *,
    request_id: str,
    kind: str,
    params: str,
    retention_ms: int,
    join: bool,
    others: bool,
    grace_ms: int,
    silence_ms: int,
    max_affected: int | None,
    details: Sequence[str],
) -> OpenReply:
    """Opens a job in its home, or joins the open job with the same work."""
    open_key = keys.open_job(f"{kind}:{params}")
    places = [keys.job(request_id), keys.jobs, open_key, target.index_key, keys.history]
    most = "" if max_affected is None else max_affected
    args = [
        keys.prefix,
        request_id,
        kind,
        params,
        retention_ms,
        target.selection,
        target.letter,
        target.owner,
    ]
    args += [int(join), int(others), grace_ms, silence_ms, most, *details]
    word, *rest = await client.call(_OPEN_JOB, places, args)
    if word == b"OPEN":
        return OpenReply("OPEN", rest[0].decode(), int(rest[1]), int(rest[2]))
    if word == b"UNDOING":
        return OpenReply("UNDOING", rest[0].decode())
    return OpenReply(word.decode(), added=int(rest[0]) if rest else 0)


async def open_part(
    client: ScriptClient,
    keys: Keys,
    target: Target,
    *,
    job_id: str,
    kind: str,
    params: str,
    retention_ms: int,
    grace_ms: int,
    number: int,
) -> tuple[int, int]:
    """Opens the part of a job in another partition, or takes a further request into it; what that request
    added to its work, and how long the part is kept (ms).
    """
    args = [keys.prefix, job_id, kind, params, retention_ms, *target[1:], grace_ms, number]
    added, kept_ms = await client.call(_OPEN_PART, [keys.job(job_id), target.index_key], args)
    return int(added), int(kept_ms)


async def mark_opened(
    client: ScriptClient,
    keys: Keys,
    job_id: str,
    request_id: str,
    *,
    added: int,
    kept_ms: int,
    silence_ms: int,
) -> None:
    """Notes that this request is in all parts of the job, what those beyond its home added, and for how long
    the home part must be kept too.
    """
    places = [keys.job(job_id), keys.jobs, keys.history, keys.job(request_id)]
    await client.call(_MARK_OPENED, places, [request_id, added, kept_ms, silence_ms, job_id])


async def read_job(client: ScriptClient, keys: Keys, job_id: str) -> tuple[str, dict[str, str]] | None:
    """Id and record of the job, or of the one that was joined under this id; None where there is none."""
    reply: list[bytes] = await client.call(_READ_JOB, [keys.job(job_id)], [keys.prefix, job_id])
    if not reply:
        return None
    texts = [text_of(keys.job(job_id), part) for part in reply]
    return texts[0], dict(zip(texts[1::2], texts[2::2], strict=True))


async def list_jobs(
    client: ScriptClient, keys: Keys, after: tuple[str, str], limit: int
) -> list[tuple[int, str]]:
    """Moments (ms) and ids of jobs whose home is this partition, newest first."""
    flat: list[bytes] = await client.call(_LIST_JOBS, [keys.history], [*after, limit])
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [(score_of(keys.history, ms), job_id.decode(errors="replace")) for job_id, ms in pairs]


async def control_job(
    client: ScriptClient,
    keys: Keys,
    job_id: str,
    *,
    spec: str,
    action: str,
    silence_ms: int,
    retention_ms: int,
) -> tuple[bool, str]:
    """Whether the job's state allowed it, and its state now (or 'gone')."""
    places = [keys.job(job_id), keys.jobs, keys.open_job(spec), keys.history]
    reply = await client.call(_CONTROL_JOB, places, [job_id, action, silence_ms, retention_ms])
    return bool(reply[0]), reply[1].decode()


async def begin_slice(
    client: ScriptClient,
    keys: Keys,
    job_id: str,
    *,
    shard: int,
    number: int | None,
    done: int,
    token: str,
    position: str,
    silence_ms: int,
    most_deaths: int,
    reason: str,
    retention_ms: int,
) -> tuple[str, int]:
    """State of the job (or 'repeated' or 'gone') and number of the slice; 0 where none is to be worked. A job
    of which `most_deaths` processes have died since it was at this position is 'failed'.
    """
    args = [job_id, shard, "" if number is None else number, done, token]
    args += [position, silence_ms, most_deaths, reason, retention_ms]
    reply = await client.call(_BEGIN_SLICE, [keys.job(job_id), keys.jobs, keys.history], args)
    return reply[0].decode(), int(reply[1])


async def end_slice(client: ScriptClient, keys: Keys, job_id: str, shard: int) -> None:
    """Notes that the slice of this shard has ended, and has not died."""
    await client.call(_END_SLICE, [keys.job(job_id)], [shard])


async def heartbeat_job(client: ScriptClient, keys: Keys, job_id: str) -> bool:
    """Whether the job is to go on."""
    return bool(await client.call(_HEARTBEAT_JOB, [keys.job(job_id), keys.jobs], [job_id]))


async def fail_batch(
    client: ScriptClient,
    keys: Keys,
    job_id: str,
    *,
    position: str,
    limit: int,
    reason: str,
    retention_ms: int,
) -> bool:
    """Whether the job has failed for good."""
    places = [keys.job(job_id), keys.jobs, keys.history]
    args = [job_id, position, limit, reason, retention_ms, secrets.token_hex(8)]
    return bool(await client.call(_FAIL_BATCH, places, args))


async def close_to_joins(client: ScriptClient, keys: Keys, job_id: str, *, spec: str, joins: str) -> bool:
    """Whether the job takes no further requests now, so that it can be finished."""
    places = [keys.job(job_id), keys.jobs, keys.open_job(spec)]
    return bool(await client.call(_CLOSE_TO_JOINS, places, [job_id, joins]))


async def complete_job(
    client: ScriptClient, keys: Keys, job_id: str, *, retention_ms: int, receipt: str
) -> bool:
    """Ends a sealed job; False where it is paused or cancelled meanwhile, or has ended."""
    places = [keys.job(job_id), keys.jobs, keys.history]
    return bool(await client.call(_COMPLETE_JOB, places, [job_id, retention_ms, receipt]))


async def keep_part(
    client: ScriptClient, keys: Keys, job_id: str, retention_ms: int, *, exactly: bool
) -> None:
    """Keeps the part of a job in another partition for so long from now, or at least."""
    await client.call(_KEEP_PART, [keys.job(job_id)], [retention_ms, int(exactly)])


async def take_stalled_jobs(client: ScriptClient, keys: Keys, silence_ms: int, limit: int) -> list[str]:
    """Ids of open jobs without a heartbeat for that long, longest silent first; each once a period, which
    doubles while no slice of it begins.
    """
    reply: list[bytes] = await client.call(_TAKE_STALLED_JOBS, [keys.jobs], [keys.prefix, silence_ms, limit])
    # One that is no text must not keep the lifeline from the others.
    return [job_id.decode(errors="replace") for job_id in reply]
