"""One typed function per script of bulk work, as `scripts.py` has them for sessions and checkpoints."""

from collections.abc import Sequence

from manager.errors import InvalidArgumentError, JobNotFoundError
from manager.keys import Keys
from manager.script_source import Script, load_script
from manager.store import Store

_DETACH_INDEX = load_script("detach_index")
_OPEN_JOB = load_script("open_job")
_MARK_OPENED = load_script("mark_opened")
_READ_JOB = load_script("read_job")
_RECLAIM_BATCH = load_script("reclaim_batch")
_SWEEP_BATCH = load_script("sweep_batch")
_PRUNE_BATCH = load_script("prune_batch")
_PRUNE_SESSION = load_script("prune_session")
_TAKE_STALLED_JOBS = load_script("take_stalled_jobs")


async def detach_index(
    store: Store,
    keys: Keys,
    *,
    index: bytes,
    detached: bytes,
    job_id: str,
    kind: str,
    params: str,
    opened: bool,
    retention_ms: int,
) -> None:
    """Revokes every session of the index at once."""
    places = [index, keys.trash(job_id), detached, keys.job(job_id), keys.jobs]
    reply = await store.call(_DETACH_INDEX, places, [job_id, kind, params, int(opened), retention_ms])
    _check_no_conflict(job_id, reply)


async def open_job(
    store: Store,
    keys: Keys,
    *,
    index: bytes,
    job_id: str,
    kind: str,
    params: str,
    retention_ms: int,
    works_on: str,
    join: bool,
    opened: bool,
) -> str:
    """Id of the job that is open now: `job_id`, or the open job with the same kind and parameters."""
    places = [keys.job(job_id), keys.jobs, keys.open_job(f"{kind}:{params}"), index]
    args = [keys.prefix, job_id, kind, params, retention_ms, works_on, int(join), int(opened)]
    reply: bytes = await store.call(_OPEN_JOB, places, args)
    _check_no_conflict(job_id, reply)
    return reply.decode()


async def mark_opened(store: Store, keys: Keys, job_id: str, *, deletes: bool) -> None:
    """Notes that all parts of the job have been written."""
    await store.call(_MARK_OPENED, [keys.job(job_id), keys.jobs], [job_id, int(deletes)])


async def read_job(store: Store, keys: Keys, job_id: str) -> dict[str, str]:
    """The fields of the job's record in this partition; empty where there is none."""
    flat: list[bytes] = await store.call(_READ_JOB, [keys.job(job_id)], [])
    return {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}


async def reclaim_batch(
    store: Store, keys: Keys, *, detached: bytes, job_id: str, limit: int, retention_ms: int
) -> bool:
    """Whether the job goes on."""
    places = [keys.trash(job_id), detached, keys.expiry_index, keys.job(job_id), keys.jobs]
    return await _batch(store, _RECLAIM_BATCH, job_id, places, [keys.prefix, job_id, limit, retention_ms])


async def sweep_batch(store: Store, keys: Keys, *, job_id: str, limit: int, retention_ms: int) -> bool:
    """Whether the job goes on."""
    places = [keys.expiry_index, keys.job(job_id), keys.jobs]
    return await _batch(store, _SWEEP_BATCH, job_id, places, [keys.prefix, job_id, limit, retention_ms])


async def prune_batch(
    store: Store,
    keys: Keys,
    *,
    index: bytes,
    job_id: str,
    keep_last: int | str,
    max_age_us: int | str,
    limit: int,
    retention_ms: int,
) -> bool:
    """Whether the job goes on. '' leaves a policy out."""
    places = [index, keys.job(job_id), keys.jobs]
    args = [keys.prefix, job_id, keep_last, max_age_us, limit, retention_ms]
    return await _batch(store, _PRUNE_BATCH, job_id, places, args)


async def prune_session(
    store: Store,
    keys: Keys,
    *,
    session_id: str,
    job_id: str,
    keep_last: int | str,
    max_age_us: int | str,
    limit: int,
    retention_ms: int,
) -> bool:
    """Whether the job goes on. '' leaves a policy out."""
    places = [keys.session(session_id), keys.job(job_id), keys.jobs]
    args = [keys.prefix, session_id, job_id, keep_last, max_age_us, limit, retention_ms]
    return await _batch(store, _PRUNE_SESSION, job_id, places, args)


async def take_stalled_jobs(store: Store, keys: Keys, silence_ms: int, limit: int) -> list[str]:
    """Ids of open jobs without a heartbeat for that long, longest silent first; each once a period."""
    reply: list[bytes] = await store.call(_TAKE_STALLED_JOBS, [keys.jobs], [keys.prefix, silence_ms, limit])
    return [job_id.decode() for job_id in reply]


def _check_no_conflict(job_id: str, reply: bytes) -> None:
    if reply == b"CONFLICT":
        raise InvalidArgumentError(
            f"job_id {job_id!r} is that of another job; an id (of a job or a Celery task) serves one job"
        )


async def _batch(
    store: Store, script: Script, job_id: str, places: list[bytes], args: Sequence[object]
) -> bool:
    reply = await store.call(script, places, args)
    if reply == b"GONE":
        raise JobNotFoundError(f"job {job_id!r} has no record any more")
    return bool(reply)
