"""Bulk work: reclaiming what an index listed, sweeping what ran out."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import groupby
from operator import itemgetter

import redis

from benchmarks.batches import Batches
from benchmarks.bench import Bench, conversation
from benchmarks.populate import Owned, Populated, check_populated, new_owned, own_keys, populate
from benchmarks.timing import Comparison, Work, alternate, reached
from manager import SessionManager
from manager.keys import Keys

_AGENT = "chatbot"
KEYS_AT_ONCE = 1_000
_CHECKPOINT_BYTES = 400
_AIM_SCRIPT_MS = 5.0

#: A raw counterpart, over one synchronous connection.
_Bare = Callable[[redis.Redis], None]
#: Opens a job (untimed) and returns the work, whose result is how many sessions it removed.
_OpenJob = Callable[[SessionManager], Awaitable[Callable[[], Awaitable[int]]]]


async def reclaim_cases(bench: Bench) -> AsyncIterator[Comparison]:
    """A job that reclaims one agent's sessions, against `UNLINK` of the sessions' own keys."""
    for checkpoints in bench.sizes.reclaim_checkpoints:
        owned = new_owned(bench.sizes.bulk)
        what = Populated(_AGENT, checkpoints, conversation(_CHECKPOINT_BYTES))
        _fill(bench, owned, what)
        await check_populated(bench.manager, owned, what)
        places = own_keys(bench.keys, owned, checkpoints)
        bares: dict[str, _Bare] = {"UNLINK of 1,000 keys at a time": partial(unlink, places, KEYS_AT_ONCE)}
        if checkpoints == min(bench.sizes.reclaim_checkpoints):
            # Mostly the raw client's own time, so once is enough.
            bares["UNLINK per key, 1,000 a pipeline"] = partial(unlink, places, 1)
        case = f"reclaim {len(owned):,} sessions, checkpoints in each: {checkpoints}"
        for compared in await _bulk(bench, case, owned, what, _reclaim, bares, aim=0.3):
            yield compared


async def sweep_cases(bench: Bench) -> AsyncIterator[Comparison]:
    """`cleanup_expired_sessions`, against the same removals without bounds and without counting."""
    owned = new_owned(bench.sizes.bulk)
    expired = Populated(_AGENT, 0, {}, expires_in_ms=-2 * len(owned), own_keys=False)
    bares: dict[str, _Bare] = {
        "ZREMRANGEBYSCORE + grouped ZREM": partial(_bare_sweep, bench.keys, _grouped(bench.keys, owned))
    }
    case = f"sweep {len(owned):,} expired sessions"
    for compared in await _bulk(bench, case, owned, expired, _sweep, bares, aim=None):
        yield compared


async def _bulk(
    bench: Bench,
    case: str,
    owned: Owned,
    what: Populated,
    open_job: _OpenJob,
    bares: dict[str, _Bare],
    aim: float | None,
) -> list[Comparison]:
    """One comparison for each raw counterpart, all measured in turn on the same sessions."""
    batches = Batches(bench.server)
    sides = [
        partial(_job_side, bench, owned, what, open_job, batches),
        *(partial(_bare_side, bench, owned, what, bare) for bare in bares.values()),
    ]

    def after(place: int) -> None:
        if place == 0:
            batches.end_run()

    with batches.watched():
        our_seconds, *raw_seconds = await alternate(
            bench.sizes.bulk_rounds, sides, warm_up=False, after=after
        )
    bench.server.clean()
    details = batches.summary()
    if "script_ms_p99" in details:
        in_time = details["script_ms_p99"] <= _AIM_SCRIPT_MS
        details["aim"] = f"script p99 <= {_AIM_SCRIPT_MS:g} ms: {reached(in_time)}"
    return [
        Comparison(case, against, "sessions", len(owned), raw, our_seconds, aim, details)
        for against, raw in zip(bares, raw_seconds, strict=True)
    ]


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
    job_id = await manager.revoke_agent_sessions(_AGENT)

    async def work() -> int:
        return (await manager.runner.run(job_id)).removed

    return work


async def _sweep(manager: SessionManager) -> Callable[[], Awaitable[int]]:
    return manager.cleanup_expired_sessions


def unlink(places: list[bytes], keys_per_command: int, client: redis.Redis) -> None:
    """Removes the keys in pipelines of 1,000."""
    for first in range(0, len(places), KEYS_AT_ONCE):
        pipeline = client.pipeline(transaction=False)
        for place in range(first, min(first + KEYS_AT_ONCE, len(places)), keys_per_command):
            pipeline.unlink(*places[place : place + keys_per_command])
        pipeline.execute()


def _grouped(keys: Keys, owned: Owned) -> list[tuple[bytes, list[str]]]:
    """Index keys, each with at most some members to remove from it."""
    by_user = groupby(owned, key=itemgetter(1))
    groups = [(keys.user_index(user), [session_id for session_id, _ in group]) for user, group in by_user]
    for first in range(0, len(owned), KEYS_AT_ONCE):
        members = [session_id for session_id, _ in owned[first : first + KEYS_AT_ONCE]]
        groups.append((keys.agent_index(_AGENT), members))
    return groups


def _bare_sweep(keys: Keys, groups: list[tuple[bytes, list[str]]], client: redis.Redis) -> None:
    seconds, _ = client.time()
    client.zremrangebyscore(keys.expiry_index, "-inf", seconds * 1_000)
    for first in range(0, len(groups), KEYS_AT_ONCE):
        pipeline = client.pipeline(transaction=False)
        for index, members in groups[first : first + KEYS_AT_ONCE]:
            pipeline.zrem(index, *members)
        pipeline.execute()
