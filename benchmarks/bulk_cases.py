"""Bulk work: reclaim the sessions of a revoked index, and sweep expired sessions."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import groupby
from operator import itemgetter

import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.keys import Keys
from benchmarks.batches import Batches
from benchmarks.bench import Bench
from benchmarks.calls import AGENT
from benchmarks.populate import Owned, Populated, check_populated, new_owned, own_keys, populate
from benchmarks.talk import conversation
from benchmarks.timing import Result, Work, alternate, reached

_KEYS_AT_ONCE = 1_000
_CHECKPOINTS, _CHECKPOINT_BYTES = 3, 400
_AIM_SCRIPT_MS = 5.0

#: A raw counterpart, over one synchronous connection.
_Bare = Callable[[redis.Redis], None]
#: Opens a job (untimed) and returns the work. The work's result is the number of sessions it removed.
_OpenJob = Callable[[SessionManager], Awaitable[Callable[[], Awaitable[int]]]]


async def reclaim_cases(bench: Bench) -> AsyncIterator[Result]:
    """Compare a job that reclaims one agent's sessions with `UNLINK` of the sessions' own keys."""
    owned = new_owned(bench.sizes.bulk)
    what = Populated(AGENT, _CHECKPOINTS, conversation(_CHECKPOINT_BYTES))
    _fill(bench, owned, what)
    await check_populated(bench.manager, owned, what)
    bare = "UNLINK of 1,000 keys at a time", partial(unlink, own_keys(bench.keys, owned, _CHECKPOINTS))
    case = f"reclaim {len(owned):,} sessions of {_CHECKPOINTS} checkpoints"
    yield await _bulk(bench, case, owned, what, _reclaim, bare, aim=0.3)


async def sweep_cases(bench: Bench) -> AsyncIterator[Result]:
    """Compare `cleanup_expired_sessions` with the same removals without bounds and without counting."""
    owned = new_owned(bench.sizes.bulk)
    expired = Populated(AGENT, 0, {}, expires_in_ms=-2 * len(owned), own_keys=False)
    bare = "ZREMRANGEBYSCORE + grouped ZREM", partial(bare_sweep, bench.keys, grouped(bench.keys, owned))
    case = f"sweep {len(owned):,} expired sessions"
    yield await _bulk(bench, case, owned, expired, _sweep, bare, aim=0.6)


async def _bulk(
    bench: Bench,
    case: str,
    owned: Owned,
    what: Populated,
    open_job: _OpenJob,
    bare: tuple[str, _Bare],
    aim: float,
) -> Result:
    """Measure both sides in turn on the same sessions."""
    batches = Batches(bench.server)
    sides = [
        partial(_job_side, bench, owned, what, open_job, batches),
        partial(_bare_side, bench, owned, what, bare[1]),
    ]

    def after(place: int) -> None:
        if place == 0:
            batches.end_run()

    with batches.watched():
        our_seconds, raw_seconds = await alternate(bench.sizes.bulk_rounds, sides, warm_up=False, after=after)
    bench.server.clean()
    details = batches.summary()
    if "script_ms_p99" in details:
        in_time = details["script_ms_p99"] <= _AIM_SCRIPT_MS
        details["aim"] = f"script p99 <= {_AIM_SCRIPT_MS:g} ms: {reached(in_time)}"
    return Result(case, bare[0], raw_seconds, our_seconds, operations=len(owned), aim=aim, details=details)


async def _job_side(
    bench: Bench, owned: Owned, what: Populated, open_job: _OpenJob, batches: Batches
) -> Work:
    _fill(bench, owned, what)
    job = await open_job(bench.manager)
    batches.begin_run()

    async def work() -> None:
        removed = await job()
        assert removed == len(owned), f"{removed} removed of {len(owned)}"

    return work


async def _bare_side(bench: Bench, owned: Owned, what: Populated, bare: _Bare) -> Work:
    _fill(bench, owned, what)

    async def work() -> None:
        bare(bench.server.client)

    return work


def _fill(bench: Bench, owned: Owned, what: Populated) -> None:
    bench.server.clean()
    populate(bench.server.client, bench.keys, owned, what)


async def _reclaim(manager: SessionManager) -> Callable[[], Awaitable[int]]:
    job_id = await manager.revoke_agent_sessions(AGENT)

    async def work() -> int:
        return (await manager.jobs.run(job_id)).removed

    return work


async def _sweep(manager: SessionManager) -> Callable[[], Awaitable[int]]:
    return manager.cleanup_expired_sessions


def unlink(places: list[bytes], client: redis.Redis) -> None:
    """Remove the keys, 1,000 in a command."""
    for first in range(0, len(places), _KEYS_AT_ONCE):
        client.unlink(*places[first : first + _KEYS_AT_ONCE])


def grouped(keys: Keys, owned: Owned) -> list[tuple[bytes, list[str]]]:
    """Return index keys, each with a bounded number of members to remove from it."""
    by_user = groupby(owned, key=itemgetter(1))
    groups = [(keys.user_index(user), [session_id for session_id, _ in group]) for user, group in by_user]
    for first in range(0, len(owned), _KEYS_AT_ONCE):
        members = [session_id for session_id, _ in owned[first : first + _KEYS_AT_ONCE]]
        groups.append((keys.agent_index(AGENT), members))
    return groups


def bare_sweep(keys: Keys, groups: list[tuple[bytes, list[str]]], client: redis.Redis) -> None:
    seconds, _ = client.time()
    client.zremrangebyscore(keys.expiry_index, "-inf", seconds * 1_000)
    for first in range(0, len(groups), _KEYS_AT_ONCE):
        pipeline = client.pipeline(transaction=False)
        for index, members in groups[first : first + _KEYS_AT_ONCE]:
            pipeline.zrem(index, *members)
        pipeline.execute()
