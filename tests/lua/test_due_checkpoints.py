"""Due checkpoints, by the Lua function itself and by a model in Python."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

_LIBRARIES = Path(__file__).parents[2] / "manager" / "scripts" / "lua" / "lib"

#: The function, behind a `redis.call` that counts the checkpoints it reads.
_SCRIPT = f"""
local real, looked_at = redis, 0
local redis = {{
  call = function(command, ...)
    local reply = real.call(command, ...)
    if string.match(command, 'RANGE') then
      looked_at = looked_at + #reply
    end
    return reply
  end,
}}
{(_LIBRARIES / "base.lua").read_text()}
{(_LIBRARIES / "chunks.lua").read_text()}
{(_LIBRARIES / "sessions.lua").read_text()}
{(_LIBRARIES / "checkpoints.lua").read_text()}
local ids, more = due_checkpoints(ARGV[1], 'sess_1', ARGV[2], ARGV[3], tonumber(ARGV[4]))
return {{ looked_at, more and 1 or 0, unpack(ids) }}
"""

Due = Callable[..., tuple[int, bool, list[int]]]


@pytest.fixture
def plant(raw: redis.Redis, namespace: str) -> Callable[..., None]:
    """Return a function that writes a session with checkpoints 1 to `count`, created at so many
    microseconds."""

    def plant_(count: int, pinned: set[int], *, told: int | None = None) -> None:
        prefix = f"{namespace}:"
        raw.delete(f"{prefix}s:sess_1", f"{prefix}o:sess_1")
        raw.hset(f"{prefix}s:sess_1", "user", "ann")
        if pinned:
            told = len(pinned) if told is None else told
            raw.hset(f"{prefix}s:sess_1", mapping={"pins": told} | {f"p:{each}": 1 for each in pinned})
        raw.zadd(f"{prefix}o:sess_1", {str(each): each for each in range(1, count + 1)})
        raw.expire(f"{prefix}s:sess_1", 60)
        raw.expire(f"{prefix}o:sess_1", 60)

    return plant_


@pytest.fixture
def due(raw: redis.Redis, namespace: str) -> Due:
    """Return the number of checkpoints read, whether more are due, and the due ones."""

    def due_(keep_last: int | str, min_created_us: int | str, limit: int) -> tuple[int, bool, list[int]]:
        looked_at, more, *ids = raw.eval(_SCRIPT, 0, f"{namespace}:", keep_last, min_created_us, limit)
        return looked_at, bool(more), [int(each) for each in ids]

    return due_


def _model(count: int, pinned: set[int], keep_last: int | str, min_created_us: int | str) -> list[int]:
    last_by_count = 0 if keep_last == "" else count - int(keep_last)
    last_by_age = 0 if min_created_us == "" else int(min_created_us) - 1
    last = min(max(last_by_count, last_by_age), count - 1)
    return [each for each in range(1, last + 1) if each not in pinned]


@pytest.mark.parametrize("seed", range(200))
def test_due_is_what_the_model_says_and_no_more_is_looked_at_than_limit_and_pins(
    plant: Callable[..., None], due: Due, seed: int
) -> None:
    chance = random.Random(seed)
    count = chance.choice([1, 2, 5, 30])
    pinned = set(chance.sample(range(1, count + 1), chance.randint(0, count)))
    keep_last = chance.choice(["", 0, 1, chance.randint(0, count + 2)])
    min_created_us = chance.choice(["", 0, chance.randint(1, count + 2)])
    plant(count, pinned)
    expected = _model(count, pinned, keep_last, min_created_us)
    for limit in (1, 2, 7, 100):
        looked_at, more, ids = due(keep_last, min_created_us, limit)
        assert ids == expected[:limit]
        assert more is (len(expected) > limit)
        assert looked_at <= limit + len(pinned)


def test_many_pins_before_what_is_due_are_passed_in_one_call(plant: Callable[..., None], due: Due) -> None:
    plant(9_000, set(range(1, 2_501)))
    assert due(1, "", 5) == (2_505, True, [2_501, 2_502, 2_503, 2_504, 2_505])
    assert due(6_499, "", 5) == (2_501, False, [2_501])


def test_a_number_of_pins_that_is_too_low_does_not_promise_more_for_ever(
    plant: Callable[..., None], due: Due
) -> None:
    plant(100, set(range(1, 51)), told=1)
    assert due(1, "", 5) == (6, False, [])
