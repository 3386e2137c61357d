"""One typed function for each script that does one batch of a job."""

from enum import StrEnum
from typing import Any, NamedTuple

from agent_runtime.manager.keys import Keys
from agent_runtime.manager.transport.script import Script, load_script
from agent_runtime.manager.transport.script_client import ScriptClient

_RECLAIM_BATCH = load_script("jobs/reclaim_batch")
_RESTORE_BATCH = load_script("jobs/restore_batch")
_SWEEP_BATCH = load_script("jobs/sweep_batch")
_PRUNE_BATCH = load_script("jobs/prune_batch")
_PRUNE_SESSION = load_script("jobs/prune_session")


class BatchReply(StrEnum):
    """The reply of a batch."""

    MORE = "MORE"
    """There is more to do in this partition."""
    END = "END"
    """There is nothing more to do in this partition."""
    HALTED = "HALTED"
    """The job is paused, or has ended."""
    GONE = "GONE"
    """The job has no record any more."""


class Selection(NamedTuple):
    """The sessions that a job works on in one partition."""

    index_key: bytes
    #: 'all' members of the index, those 'due', those still 'live', or 'one' session.
    members: str
    #: Letter of the index that a deletion takes away ('u' or 'a'), and its owner.
    letter: str = ""
    owner: str = ""


async def reclaim_batch(
    client: ScriptClient, keys: Keys, selection: Selection, *, job_id: str, limit: int
) -> BatchReply:
    """Frees the memory of revoked sessions."""
    args = [keys.prefix, job_id, limit, selection.letter, selection.owner]
    return await _batch(client, _RECLAIM_BATCH, keys, job_id, [], args)


async def restore_batch(
    client: ScriptClient, keys: Keys, selection: Selection, *, job_id: str, limit: int
) -> BatchReply:
    """Brings revoked sessions back."""
    args = [keys.prefix, job_id, limit, selection.letter, selection.owner]
    return await _batch(client, _RESTORE_BATCH, keys, job_id, [selection.index_key], args)


async def sweep_batch(client: ScriptClient, keys: Keys, *, job_id: str, limit: int) -> BatchReply:
    """Removes what is left of expired sessions."""
    args = [keys.prefix, job_id, limit]
    return await _batch(client, _SWEEP_BATCH, keys, job_id, [keys.expiry_index], args)


async def prune_batch(
    client: ScriptClient,
    keys: Keys,
    selection: Selection,
    *,
    keep_last: int | str,
    max_age_us: int | str,
    except_agents: str,
    job_id: str,
    limit: int,
) -> BatchReply:
    """Prunes checkpoints of some sessions of an index. '' leaves a limit out."""
    args = [keys.prefix, job_id, limit, keep_last, max_age_us, except_agents]
    return await _batch(client, _PRUNE_BATCH, keys, job_id, [selection.index_key], args)


async def prune_session(
    client: ScriptClient,
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
    return await _batch(client, _PRUNE_SESSION, keys, job_id, [keys.session(session_id)], args)


async def _batch(
    client: ScriptClient, script: Script, keys: Keys, job_id: str, places: list[bytes], args: list[Any]
) -> BatchReply:
    reply: bytes = await client.call(script, [keys.job(job_id), keys.jobs, *places], args)
    return BatchReply(reply.decode())
