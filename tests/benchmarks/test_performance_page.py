"""`docs/performance.md` shows the figures of the result files."""

import re

import pytest
from benchmarks.page import PAGE, rendered
from benchmarks.results import Measured, load
from benchmarks.tables import aims
from benchmarks.timing import Result


def test_the_tables_of_the_page_are_those_of_the_results() -> None:
    page = PAGE.read_text()
    without = re.sub(r"(<!-- table: \w+ -->\n).*?(<!-- end -->)", r"\1\2", page, flags=re.DOTALL)
    assert rendered(without, load()) == page, "run `python -m benchmarks --render`"


def test_a_page_without_the_place_of_a_table_is_refused() -> None:
    page = PAGE.read_text().replace("<!-- table: aims -->", "")
    with pytest.raises(ValueError, match="aims"):
        rendered(page, load())


@pytest.mark.parametrize(
    ("unit", "raw", "ours", "aim", "told"),
    [
        ("s", 2.0, 1.0, 2.0, "2.00 (≥ 2.00: reached)"),
        ("s", 1.0, 2.0, 0.9, "0.50 (≥ 0.90: **MISSED**)"),
        ("ms", 1.0, 3.5, 3.0, "3.50 (≤ 3.00: **MISSED**)"),
        ("bytes", 300.0, 15.0, 1 / 15, "1/20.0 (≤ 1/15.0: reached)"),
        ("bytes", 100.0, 301.0, 3.0, "3.01 (≤ 3.00: **MISSED**)"),
    ],
)
def test_an_aim_is_reached_by_more_speed_or_by_fewer_bytes(
    unit: str, raw: float, ours: float, aim: float, told: str
) -> None:
    result = Result("a case", "raw", [raw, raw, raw * 9], [ours, ours, ours], unit=unit, aim=aim)
    measured = Measured({"server": "Valkey 9"}, [result])
    assert f"| a case | raw | {told} |" in aims({"valkey9": {"calls": measured}})


def test_every_aim_is_measured_on_every_server() -> None:
    """Check the aims of the issue's table, by the start of each case's name and its counterpart."""
    wanted = {
        "create_session, in turn": "EVALSHA",
        "create_session, 100 gathered": "MULTI",
        "get_session, in turn": "HGETALL",
        "get_session, 100 gathered": "HGETALL",
        "save_checkpoint 2 KB, in turn": "SET",
        "save_checkpoint 2 KB, 100 gathered": "SET",
        "get_latest_checkpoint 2 KB, in turn": "GET",
        "get_sessions_by_user, 100 sessions, in turn": "ZRANGE",
        "reclaim ": "UNLINK",
        "reclaim, polite, ": "UNLINK",
        "sweep ": "ZREMRANGEBYSCORE",
        "p99 of others' GET, ": "idle",
        "a conversation of 50 turns": "plain JSON",
        "a bare session": "the same fields",
    }
    for server, groups in load().items():
        aimed = {
            (result.name, result.against)
            for measured in groups.values()
            for result in measured.results
            if result.aim is not None
        }
        for name, against in wanted.items():
            assert any(has.startswith(name) and to.startswith(against) for has, to in aimed), (server, name)
