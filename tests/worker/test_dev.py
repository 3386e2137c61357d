"""`make dev`: the whole stack in one command."""

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.processes import environment
from tests.support.standard_port import standard_port_to_oneself
from tests.support.wait_until import wait_until_blocking


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", str, str]]:
    """The process, and the URLs of Redis and Flower that it prints."""
    with standard_port_to_oneself():
        process = subprocess.Popen(
            [sys.executable, "-m", "agent_runtime.worker.dev"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        redis_url, flower_url = (re.split(r"\s+", process.stdout.readline())[1] for _ in range(2))
        yield process, redis_url, flower_url
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as page:
            return bool(page.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_stack_runs_until_a_signal_and_leaves_nothing_running(
    stack: tuple["subprocess.Popen[str]", str, str], how: signal.Signals
) -> None:
    process, redis_url, flower_url = stack
    with redis.Redis.from_url(redis_url) as client:
        assert client.ping()
    wait_until_blocking(lambda: answers(flower_url), description="Flower to answer")

    process.send_signal(how)
    process.wait(60)

    assert not answers(flower_url)
    with redis.Redis.from_url(redis_url) as client, pytest.raises(redis.ConnectionError):
        client.ping()
