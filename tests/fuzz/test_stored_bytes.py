"""Any bytes in Redis instead of the written ones: each call gives an answer or one of our errors.

Each call ends after a bounded number of steps.
"""

import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
import redis
from hypothesis import strategies as st

from agent_runtime.manager import AgentSessionsError, SessionManager, Settings
from agent_runtime.manager.jobs.request import JobRequest
from tests.fuzz import corpus
from tests.fuzz.inputs import fuzz
from tests.support.leftovers import remove_namespace
from tests.support.sessions import create_sessions, save_turns

#: More round trips than any call needs here: there are three sessions, four jobs and a receipt.
_MOST_STEPS = 200


class World(NamedTuple):
    """A namespace with some of everything, kept to be put back before each input."""

    manager: SessionManager
    raw: redis.Redis
    session_id: str
    checkpoint_id: str
    job_ids: list[str]
    keys: dict[bytes, tuple[int, bytes]]
    steps: list[int]

    def put_back(self) -> None:
        remove_namespace(self.raw, self.manager.settings.namespace)
        pipeline = self.raw.pipeline(transaction=False)
        for key, (ttl_ms, dump) in self.keys.items():
            pipeline.restore(key, ttl_ms, dump)
        pipeline.execute()
        self.steps.clear()


class Damage(NamedTuple):
    """A change to one key. `where` chooses among the keys and their parts."""

    where: int
    how: str
    value: bytes
    score: float


_damages = st.builds(
    Damage,
    st.integers(0, 2**32),
    st.sampled_from(["value", "value", "member", "score", "take", "mutate", "mutate", "key", "type"]),
    st.sampled_from(corpus.STORED) | st.binary(max_size=40),
    st.sampled_from(corpus.SCORES) | st.floats(allow_nan=False),
)

Call = Callable[[World], Awaitable[Any]]


async def _all(found: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in found]


async def _take_up(world: World, job_id: str) -> None:
    """Work on a job as a worker does with a message."""
    async for _ in world.manager.jobs.steps(job_id):
        pass


_CALLS: dict[str, Call] = {
    "get_session": lambda world: world.manager.get_session(world.session_id),
    "update_session": lambda world: world.manager.update_session(world.session_id, metadata={}, agent_id="b"),
    "update_session_metadata": lambda world: world.manager.update_session_metadata(
        world.session_id, {"a": 2}
    ),
    "refresh_session": lambda world: world.manager.refresh_session(world.session_id),
    "delete_session": lambda world: world.manager.delete_session(world.session_id),
    "get_sessions_by_user": lambda world: world.manager.get_sessions_by_user("ann"),
    "get_sessions_by_agent": lambda world: world.manager.get_sessions_by_agent("bot"),
    "get_active_session_count": lambda world: world.manager.get_active_session_count(),
    "get_active_session_count of a user": lambda world: world.manager.get_active_session_count("ann"),
    "create_session": lambda world: world.manager.create_session("ann", "bot"),
    "save_checkpoint": lambda world: world.manager.save_checkpoint(world.session_id, {}, pin=True),
    "get_checkpoint": lambda world: world.manager.get_checkpoint(world.session_id, world.checkpoint_id),
    "get_latest_checkpoint": lambda world: world.manager.get_latest_checkpoint(world.session_id),
    "list_checkpoints": lambda world: world.manager.list_checkpoints(world.session_id),
    "pinned_checkpoints": lambda world: world.manager.pinned_checkpoints(world.session_id),
    "delete_checkpoint": lambda world: world.manager.delete_checkpoint(world.session_id, world.checkpoint_id),
    "clear_checkpoints": lambda world: world.manager.clear_checkpoints(world.session_id),
    "prune_checkpoints": lambda world: world.manager.prune_checkpoints(keep_last=1),
    "prune_checkpoints of one": lambda world: world.manager.prune_checkpoints(world.session_id, keep_last=1),
    "cleanup_expired_sessions": lambda world: world.manager.cleanup_expired_sessions(),
    "delete_user_sessions": lambda world: world.manager.delete_user_sessions("ann"),
    "delete_agent_sessions": lambda world: world.manager.delete_agent_sessions("bot"),
    "revoke": lambda world: world.manager.revoke_user_sessions("eve", max_affected=5, grace=5),
    "preview of a deletion": lambda world: world.manager.jobs.preview(
        world.manager.jobs.user_deletion("ann")
    ),
    "preview of a pruning": lambda world: world.manager.jobs.preview(world.manager.jobs.pruning(keep_last=1)),
    "list_jobs": lambda world: world.manager.jobs.list(limit=2),
    "take_stalled": lambda world: world.manager.jobs.take_stalled(),
    "receipts": lambda world: _all(world.manager.jobs.receipts.all()),
    "verify": lambda world: world.manager.jobs.receipts.verify(),
    **{
        f"{action} of job {number}": lambda world, number=number, action=action: world.manager.jobs.control(
            world.job_ids[number], action
        )
        for action in ("pause", "resume", "cancel", "undo")
        for number in range(4)
    },
    **{
        f"progress of job {number}": lambda world, number=number: world.manager.jobs.progress(
            world.job_ids[number]
        )
        for number in range(4)
    },
    **{
        f"work on job {number}": lambda world, number=number: _take_up(world, world.job_ids[number])
        for number in range(4)
    },
}


@fuzz(
    600,
    corpus=[
        {"damages": [Damage(where, "value", value, 0.0)], "calls": [call]}
        for where, value, call in (
            (1, b"\xff", "get_session"),
            (2, b"nan", "get_session"),
            (3, b"inf", "list_checkpoints"),
        )
    ],
    damages=st.lists(_damages, min_size=1, max_size=3),
    calls=st.lists(st.sampled_from(sorted(_CALLS)), min_size=3, max_size=5),
)
async def test_damaged_data_is_answered_or_told_in_a_bounded_number_of_steps(
    world: World, damages: list[Damage], calls: list[str]
) -> None:
    world.put_back()
    for damage in damages:
        _do(world.raw, world.manager.settings.namespace, damage)
    for call in calls:
        world.steps.clear()
        with suppress(AgentSessionsError):
            await _CALLS[call](world)
    remove_namespace(world.raw, world.manager.settings.namespace)


@pytest.fixture
async def world(
    settings: Settings, raw: redis.Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    numbers = itertools.count()
    # The same ids in every run, so that damage can be repeated.
    for module in ("keys", "new_ids"):
        monkeypatch.setattr(f"agent_runtime.manager.{module}.random_text", lambda: f"{next(numbers):023}")
    settings = settings.model_copy(update={"pace": "full", "slice_seconds": 0.001, "max_attempts": 2})
    async with SessionManager.from_settings(settings) as manager:
        first, *_ = await create_sessions(manager, 3)
        other = await manager.create_session("bob", "bot", {"k": [1]})
        await manager.update_session_metadata(first.session_id, {"a": 1, "b": {"c": None}})
        checkpoint_ids = await save_turns(manager, first.session_id, 3)
        await manager.pin_checkpoint(first.session_id, checkpoint_ids[0])
        await manager.save_checkpoint(first.session_id, {"long": "x" * 2_000})
        await create_sessions(manager, 1, "gone", "bot")
        done = await manager.revoke_user_sessions("gone")
        await manager.jobs.run(done)
        await create_sessions(manager, 2, "eve")
        revoked = await manager.revoke_user_sessions("eve", grace=60, requested_by="ops", reason="because")
        sweep = await manager.jobs.open(manager.jobs.pruning(keep_last=1), JobRequest.checked())
        paused = await manager.revoke_agent_sessions("other")
        await create_sessions(manager, 1, "due", "bot")
        raw.zadd(f"{namespace}:{{0}}:x", {f"{other.session_id} 3 duebot": 1})
        jobs = [done, revoked, sweep.job_id, paused]
        keys = {
            key: (raw.pttl(key), raw.dump(key)) for key in raw.scan_iter(match=f"{namespace}:*", count=1_000)
        }
        steps: list[int] = []
        _bound(manager, steps)
        yield World(manager, raw, first.session_id, checkpoint_ids[0], jobs, keys, steps)
    remove_namespace(raw, namespace)


def _bound(manager: SessionManager, steps: list[int]) -> None:
    call = manager._context.client.call

    async def counted(script: Any, *args: Any) -> Any:
        steps.append(1)
        assert len(steps) <= _MOST_STEPS, f"no end: {script.name}"
        return await call(script, *args)

    manager._context.client.call = counted  # type: ignore[method-assign]


def _do(raw: redis.Redis, namespace: str, damage: Damage) -> None:
    """Damage one place. `where` alone chooses the place, so that damage can be repeated."""
    keys = sorted(raw.scan_iter(match=f"{namespace}:*", count=1_000))
    chance = random.Random(damage.where)
    key = chance.choice(keys)
    kind = raw.type(key)
    if damage.how == "key":
        raw.delete(key)
    elif damage.how == "type":
        raw.delete(key)
        raw.set(key, damage.value, ex=60)
    elif kind == b"hash":
        _damage_hash(raw, key, damage, chance)
    elif kind == b"zset":
        _damage_sorted_set(raw, key, damage, chance)
    else:
        raw.set(key, damage.value, keepttl=True)


def _damage_hash(raw: redis.Redis, key: bytes, damage: Damage, chance: random.Random) -> None:
    name = chance.choice(sorted(raw.hkeys(key)))
    if damage.how == "take":
        raw.hdel(key, name)
    elif damage.how == "member":
        raw.hset(key, chance.choice([b"m:", b"p:", b""]) + damage.value, raw.hget(key, name))
    elif damage.how == "mutate":
        raw.hset(key, name, _mutated(raw.hget(key, name), chance))
    else:
        raw.hset(key, name, damage.value)


def _damage_sorted_set(raw: redis.Redis, key: bytes, damage: Damage, chance: random.Random) -> None:
    member, score = chance.choice(raw.zrange(key, 0, -1, withscores=True))
    if damage.how == "score":
        raw.zadd(key, {member: damage.score})
        return
    raw.zrem(key, member)
    if damage.how == "member":
        raw.zadd(key, {damage.value: damage.score})
    elif damage.how == "mutate":
        raw.zadd(key, {_mutated(member, chance): score})
    elif damage.how == "value":
        raw.zadd(key, {damage.value: score})


def _mutated(value: bytes, chance: random.Random) -> bytes:
    """Return the value with a byte changed, inserted or left out, or cut off."""
    place = chance.randrange(len(value) + 1)
    byte = bytes([chance.randrange(256)])
    return chance.choice(
        [value[:place], value[:place] + byte + value[place:], value[:place] + byte + value[place + 1 :]]
    )
