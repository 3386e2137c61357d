"""Fixtures for the processes, the rounds and the faults."""

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis

from agent_runtime.manager import Settings
from tests.concurrency.crew import Crew

_SIZE = 4

#: Factor by which rounds are more than in CI.
_FACTOR = int(os.environ.get("AGENT_SESSIONS_TEST_ROUNDS", "1"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/concurrency" in item.nodeid:
            item.add_marker(pytest.mark.timeout(120 * _FACTOR))


@pytest.fixture(scope="session")
def crew() -> Iterator[Crew]:
    """Start four processes."""
    with Crew(_SIZE) as crew:
        yield crew


@pytest.fixture
def rounds(settings: Settings) -> Callable[..., Iterator[Settings]]:
    """Return settings for each round, with a namespace of its own: `for settings in rounds(3,
    partitions=4)`."""

    def rounds_(count: int, **changes: Any) -> Iterator[Settings]:
        for number in range(count * _FACTOR):
            changed = changes | {"namespace": f"{settings.namespace}:{number}"}
            yield Settings(**(settings.model_dump() | changed))

    return rounds_


@pytest.fixture
def cut_connections(raw: redis.Redis) -> Callable[[], Awaitable[None]]:
    """Return a function that has the server kill all connections but its own, over and over."""

    async def cut_connections_() -> None:
        while True:
            raw.client_kill_filter(_type="normal", skipme=True)
            await asyncio.sleep(random.uniform(0, 0.02))

    return cut_connections_
