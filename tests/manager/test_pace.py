"""The size of a batch follows the time that the server needs for it, within bounds; a polite pace rests."""

import asyncio
from collections.abc import Callable

import pytest

from agent_runtime.manager.jobs import pace as pace_module
from agent_runtime.manager.jobs.pace import Pace


class _Clock:
    """Time that passes only if somebody lets it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rests: list[float] = []
        self.oversleeps = 0.0

    def perf_counter(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds + self.oversleeps


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    clock = _Clock()
    monkeypatch.setattr(pace_module.time, "perf_counter", clock.perf_counter)
    monkeypatch.setattr(pace_module.asyncio, "sleep", clock.sleep)
    return clock


def _sizes(clock: _Clock, pace: Pace, batches: int, takes: Callable[[int, int], float]) -> list[int]:
    """Return the sizes of so many batches. `takes` returns the seconds of a batch by its number and size."""

    async def run() -> list[int]:
        sizes = []
        for number in range(batches):
            async with pace.batch() as size:
                clock.now += takes(number, size)
                sizes.append(size)
        return sizes

    return asyncio.run(run())


def test_batches_of_a_fast_server_grow_to_what_lua_can_unpack(clock: _Clock) -> None:
    sizes = _sizes(clock, Pace(10, polite=False), 20, lambda _, size: 0.0)
    assert sizes[0] == 100
    assert sizes == sorted(sizes)
    assert sizes[-1] == 1_000


def test_batches_of_a_slow_server_shrink_to_the_smallest(clock: _Clock) -> None:
    sizes = _sizes(clock, Pace(0.001, polite=False), 24, lambda _, size: size * 0.0003)
    assert max(sizes[16:]) <= 18  # it tries a little more now and then
    assert min(sizes) == 10


@pytest.mark.parametrize(("polite", "target"), [(False, 0.02), (True, 0.02 / 0.15)])
def test_batches_settle_where_they_take_the_time_they_should(
    clock: _Clock, polite: bool, target: float
) -> None:
    """A polite batch takes 0.15 of the target, so in both cases 50 sessions take what they should."""
    sizes = _sizes(clock, Pace(target, polite=polite), 60, lambda _, size: size * 0.0004)
    assert 25 <= sum(sizes[-20:]) / 20 <= 75


def test_a_server_far_away_is_not_taken_for_a_slow_one(clock: _Clock) -> None:
    sizes = _sizes(clock, Pace(0.02, polite=False), 16, lambda _, size: 0.04)
    assert max(sizes[8:]) >= 100


def test_a_single_batch_that_was_kept_waiting_changes_nothing(clock: _Clock) -> None:
    def takes(number: int, size: int) -> float:
        return size * 0.0001 + (0.5 if number % 3 == 2 else 0)

    sizes = _sizes(clock, Pace(0.02, polite=False), 30, takes)
    assert min(sizes) >= 100
    assert sizes == sorted(sizes)


def test_a_full_pace_never_rests(clock: _Clock) -> None:
    _sizes(clock, Pace(0.002, polite=False), 50, lambda _, size: size * 0.00001)
    assert clock.rests == []


def test_a_polite_pace_leaves_others_most_of_the_time(clock: _Clock) -> None:
    _sizes(clock, Pace(0.002, polite=True), 1_000, lambda _, size: size * 0.00001)
    worked = clock.now - sum(clock.rests)
    assert 0.25 <= worked / clock.now <= 0.35


def test_a_rest_that_was_too_long_is_taken_off_the_next_but_a_standstill_is_not_made_up_for(
    clock: _Clock,
) -> None:
    pace = Pace(0.002, polite=True)
    clock.oversleeps = 1.0
    _sizes(clock, pace, 3, lambda _, size: size * 0.00001)
    assert len(clock.rests) == 1
    clock.oversleeps = 0.0
    _sizes(clock, pace, 10, lambda _, size: size * 0.00001)
    assert len(clock.rests) > 1


def test_a_job_of_one_batch_never_rests(clock: _Clock) -> None:
    _sizes(clock, Pace(0.002, polite=True), 1, lambda _, size: 1.0)
    assert clock.rests == []


def test_two_workers_do_not_rest_in_step(clock: _Clock) -> None:
    for pace in (Pace(0.002, polite=True), Pace(0.002, polite=True)):
        _sizes(clock, pace, 2, lambda _, size: 0.01)
    assert len(set(clock.rests)) == 2
