"""The size of a batch follows the time that the server needs for it, within bounds."""

import time

from manager.pace import Pace


def _sizes(pace: Pace, batches: int, seconds_per_item: float = 0.0, way_seconds: float = 0.0) -> list[int]:
    """The sizes of so many batches on a server of that speed, that far away."""
    sizes = []
    for _ in range(batches):
        with pace.batch() as size:
            time.sleep(size * seconds_per_item + way_seconds)
            sizes.append(size)
    return sizes


def test_batches_of_a_fast_server_grow_to_what_lua_can_unpack() -> None:
    sizes = _sizes(Pace(target_seconds=10), 20)
    assert sizes[0] == 100
    assert sizes == sorted(sizes)
    assert sizes[-1] == 1_000


def test_batches_of_a_slow_server_shrink_to_the_smallest() -> None:
    sizes = _sizes(Pace(target_seconds=0.001), 16, seconds_per_item=0.0003)
    assert max(sizes[10:]) <= 18  # it tries a little more now and then
    assert min(sizes) == 10


def test_batches_settle_where_they_take_the_time_they_should() -> None:
    sizes = _sizes(Pace(target_seconds=0.02), 30, seconds_per_item=0.0004)  # 50 would take 20 ms
    assert 12 <= sum(sizes[-10:]) / 10 <= 110


def test_a_server_far_away_is_not_taken_for_a_slow_one() -> None:
    sizes = _sizes(Pace(target_seconds=0.02), 16, way_seconds=0.04)
    assert max(sizes[8:]) >= 100
