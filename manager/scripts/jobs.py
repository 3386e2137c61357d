"""One typed function per script of bulk work, as `manager.scripts` has them for sessions and checkpoints."""

import secrets
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts.replies import score_of, text_of
from agent_runtime.manager.transport.script import Script, load_script
from agent_runtime.manager.transport.script_client import Store

_OPEN_JOB = load_script("jobs/open_job")
_OPEN_PART = load_script("jobs/open_part")
_MARK_OPENED = load_script("jobs/mark_opened")
_READ_JOB = load_script("jobs/read_job")
_LIST_JOBS = load_script("jobs/list_jobs")
_CONTROL_JOB = load_script("jobs/control_job")
_BEGIN_SLICE = load_script("jobs/begin_slice")
_END_SLICE = load_script("jobs/end_slice")
_BEAT_JOB = load_script("jobs/beat_job")
_FAIL_BATCH = load_script("jobs/fail_batch")
_SEAL_JOB = load_script("jobs/seal_job")
_FINISH_JOB = load_script("jobs/finish_job")
_KEEP_PART = load_script("jobs/keep_part")
_RECLAIM_BATCH = load_script("jobs/reclaim_batch")
_RESTORE_BATCH = load_script("jobs/restore_batch")
_SWEEP_BATCH = load_script("jobs/sweep_batch")
_PRUNE_BATCH = load_script("jobs/prune_batch")
_PRUNE_SESSION = load_script("jobs/prune_session")
_TAKE_STALLED_JOBS = load_script("jobs/take_stalled_jobs")

#: Where a listing of jobs begins: before the newest.
NEWEST = ("+inf", "")


class BatchReply(StrEnum):
    """What a batch answers."""

    MORE = "MORE"
    """There is more to do in this partition."""
    END = "END"
    """There is nothing more to do in this partition."""
    HALTED = "HALTED"
    """The job is paused, or has ended."""
    GONE = "GONE"
    """The job has no record any more."""


class Target(NamedTuple):
    """What a job works on in one partition."""

    index_key: bytes
    #: 'all' members of the index, those 'due', those still 'live', or 'one' session.
    works_on: str
    #: Letter of the index that a deletion takes away, and its owner.
    letter: str = ""
    owner: str = ""


class OpenReply(NamedTuple):
    """What opening a job answers: `OPEN`, `CONFLICT`, `UNDOING` or `TOO_MANY`, and more behind it."""

    word: str
    job_id: str = ""
    added: int = 0
    #: The request's place among those that the job took, where parts in other partitions have to be
    #: written; else 0.
    number: int = 0


async def open_job(
    store: Store,
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
    places = [
        keys.job(request_id),
        keys.jobs,
        keys.open_job(f"{kind}:{params}"),
        target.index_key,
        keys.history,
    ]
    most = "" if max_affected is None else max_affected
    args = [keys.prefix, request_id, kind, params, retention_ms, target.works_on, target.letter, target.owner]
    args += [int(join), int(others), grace_ms, silence_ms, most, *details]
    word, *rest = await store.call(_OPEN_JOB, places, args)
    if word == b"OPEN":
        return OpenReply("OPEN", rest[0].decode(), int(rest[1]), int(rest[2]))
    if word == b"UNDOING":
        return OpenReply("UNDOING", rest[0].decode())
    return OpenReply(word.decode(), added=int(rest[0]) if rest else 0)


async def open_part(
    store: Store,
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
    added, kept_ms = await store.call(_OPEN_PART, [keys.job(job_id), target.index_key], args)
    return int(added), int(kept_ms)


async def mark_opened(
    store: Store, keys: Keys, job_id: str, request_id: str, *, added: int, kept_ms: int, silence_ms: int
) -> None:
    """Notes that this request is in all parts of the job, what those beyond its home added, and for how long
    the home part must be kept too.
    """
    places = [keys.job(job_id), keys.jobs, keys.history, keys.job(request_id)]
    await store.call(_MARK_OPENED, places, [request_id, added, kept_ms, silence_ms, job_id])


async def read_job(store: Store, keys: Keys, job_id: str) -> tuple[str, dict[str, str]] | None:
    """Id and record of the job, or of the one that was joined under this id; None where there is none."""
    reply: list[bytes] = await store.call(_READ_JOB, [keys.job(job_id)], [keys.prefix, job_id])
    if not reply:
        return None
    texts = [text_of(keys.job(job_id), part) for part in reply]
    return texts[0], dict(zip(texts[1::2], texts[2::2], strict=True))


async def list_jobs(store: Store, keys: Keys, after: tuple[str, str], limit: int) -> list[tuple[int, str]]:
    """Moments (ms) and ids of jobs whose home is this partition, newest first."""
    flat: list[bytes] = await store.call(_LIST_JOBS, [keys.history], [*after, limit])
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return [(score_of(keys.history, ms), job_id.decode(errors="replace")) for job_id, ms in pairs]


async def control_job(
    store: Store,
    keys: Keys,
    job_id: str,
    *,
    work: str,
    action: str,
    silence_ms: int,
    retention_ms: int,
) -> tuple[bool, str]:
    """Whether the job's state allowed it, and its state now (or 'gone')."""
    places = [keys.job(job_id), keys.jobs, keys.open_job(work), keys.history]
    reply = await store.call(_CONTROL_JOB, places, [job_id, action, silence_ms, retention_ms])
    return bool(reply[0]), reply[1].decode()


async def begin_slice(
    store: Store,
    keys: Keys,
    job_id: str,
    *,
    lane: int,
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
    args = [job_id, lane, "" if number is None else number, done, token]
    args += [position, silence_ms, most_deaths, reason, retention_ms]
    reply = await store.call(_BEGIN_SLICE, [keys.job(job_id), keys.jobs, keys.history], args)
    return reply[0].decode(), int(reply[1])


async def end_slice(store: Store, keys: Keys, job_id: str, lane: int) -> None:
    """Notes that the slice of this lane has ended, and has not died."""
    await store.call(_END_SLICE, [keys.job(job_id)], [lane])


async def beat_job(store: Store, keys: Keys, job_id: str) -> bool:
    """Whether the job is to go on."""
    return bool(await store.call(_BEAT_JOB, [keys.job(job_id), keys.jobs], [job_id]))


async def fail_batch(
    store: Store, keys: Keys, job_id: str, *, position: str, limit: int, reason: str, retention_ms: int
) -> bool:
    """Whether the job has failed for good."""
    places = [keys.job(job_id), keys.jobs, keys.history]
    args = [job_id, position, limit, reason, retention_ms, secrets.token_hex(8)]
    return bool(await store.call(_FAIL_BATCH, places, args))


async def seal_job(store: Store, keys: Keys, job_id: str, *, work: str, joins: str) -> bool:
    """Whether the job takes no further requests now, so that it can be finished."""
    places = [keys.job(job_id), keys.jobs, keys.open_job(work)]
    return bool(await store.call(_SEAL_JOB, places, [job_id, joins]))


async def finish_job(store: Store, keys: Keys, job_id: str, *, retention_ms: int, receipt: str) -> bool:
    """Ends a sealed job; False where it is paused or cancelled meanwhile, or has ended."""
    places = [keys.job(job_id), keys.jobs, keys.history]
    return bool(await store.call(_FINISH_JOB, places, [job_id, retention_ms, receipt]))


async def keep_part(store: Store, keys: Keys, job_id: str, retention_ms: int, *, exactly: bool) -> None:
    """Keeps the part of a job in another partition for so long from now, or at least."""
    await store.call(_KEEP_PART, [keys.job(job_id)], [retention_ms, int(exactly)])


async def reclaim_batch(store: Store, keys: Keys, target: Target, *, job_id: str, limit: int) -> BatchReply:
    """Frees the memory of revoked sessions."""
    args = [keys.prefix, job_id, limit, target.letter, target.owner]
    return await _batch(store, _RECLAIM_BATCH, keys, job_id, [], args)


async def restore_batch(store: Store, keys: Keys, target: Target, *, job_id: str, limit: int) -> BatchReply:
    """Brings revoked sessions back."""
    args = [keys.prefix, job_id, limit, target.letter, target.owner]
    return await _batch(store, _RESTORE_BATCH, keys, job_id, [target.index_key], args)


async def sweep_batch(store: Store, keys: Keys, *, job_id: str, limit: int) -> BatchReply:
    """Removes what is left of expired sessions."""
    args = [keys.prefix, job_id, limit]
    return await _batch(store, _SWEEP_BATCH, keys, job_id, [keys.expiry_index], args)


async def prune_batch(
    store: Store,
    keys: Keys,
    target: Target,
    *,
    keep_last: int | str,
    max_age_us: int | str,
    except_agents: str,
    job_id: str,
    limit: int,
) -> BatchReply:
    """Prunes checkpoints of some sessions of an index. '' leaves a limit out."""
    args = [keys.prefix, job_id, limit, keep_last, max_age_us, except_agents]
    return await _batch(store, _PRUNE_BATCH, keys, job_id, [target.index_key], args)


async def prune_session(
    store: Store,
    keys: Keys,
    *,
    session_id: str,
    keep_last: int | str,
    max_age_us: int | str,
    job_id: str,
    limit: int,
) -> BatchReply:
    """Prunes checkpoints of one session. '' leaves a limit out."""
    args = [keys.prefix, job_id, limit, keep_last, max_age_us, session_id]
    return await _batch(store, _PRUNE_SESSION, keys, job_id, [keys.session(session_id)], args)


async def take_stalled_jobs(store: Store, keys: Keys, silence_ms: int, limit: int) -> list[str]:
    """Ids of open jobs without a heartbeat for that long, longest silent first; each once a period, which
    doubles while no slice of it begins.
    """
    reply: list[bytes] = await store.call(_TAKE_STALLED_JOBS, [keys.jobs], [keys.prefix, silence_ms, limit])
    # One that is no text must not keep the lifeline from the others.
    return [job_id.decode(errors="replace") for job_id in reply]


async def _batch(
    store: Store, script: Script, keys: Keys, job_id: str, places: list[bytes], args: list[Any]
) -> BatchReply:
    reply: bytes = await store.call(script, [keys.job(job_id), keys.jobs, *places], args)
    return BatchReply(reply.decode())
