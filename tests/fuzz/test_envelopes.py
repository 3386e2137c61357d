"""Messages of any shape in the broker: the worker lives on, with the same processes, and works on real
jobs."""

import base64
import json
import random
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.tasks import SessionJobs
from tests.fuzz import corpus, inputs
from tests.support.jobs import finished
from tests.support.keyspace import snapshot
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.redis_server import RedisServer
from tests.support.wait_until import wait_until

_MESSAGES = 300
_QUEUES = ["bulk", "maintenance", "celery"]
_TASKS = [
    "tasks.delete_user_sessions",
    "tasks.run_job",
    "tasks.prune_checkpoints",
    "tasks.unknown",
    "",
    None,
    5,
]

_JSON = [
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    "",
    "ann",
    "\x00",
    "🙂",
    [],
    [1],
    {},
    {"a": 1},
    [[], {}, None],
    *corpus.IDS[:20],
]


def _envelope(chance: random.Random) -> dict[str, Any]:
    """Return a message as Celery sends it, with some parts replaced."""
    headers = {
        "lang": "py",
        "task": chance.choice(_TASKS),
        "id": secrets.token_hex(8),
        "retries": 0,
        "eta": None,
        "expires": None,
        "group": None,
        "timelimit": [None, None],
        "argsrepr": "()",
        "origin": "fuzz",
    }
    body: Any = [chance.choice([[], [5], {}]), {"unknown": chance.choice(_JSON)}, {"callbacks": None}]
    for _ in range(chance.randrange(3)):
        headers[chance.choice(["retries", "argsrepr", "origin", "lang", "more"])] = chance.choice(_JSON)
    if chance.random() < 0.4:
        body = chance.choice(_JSON)
    text = json.dumps(body) if chance.random() < 0.8 else chance.choice(corpus.TEXTS)
    return {
        "body": base64.b64encode(text.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": chance.choice(
            ["application/json"] * 5 + ["application/x-python-serialize", "text/plain"]
        ),
        "headers": headers,
        "properties": {
            "correlation_id": headers["id"],
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "bulk"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": secrets.token_hex(8),
        },
    }


async def test_a_worker_outlives_messages_of_any_shape(
    worker: CeleryProcess, broker: redis.Redis, raw: redis.Redis, manager: SessionManager, namespace: str
) -> None:
    await manager.create_session("ann", "bot")
    before, children = snapshot(raw, namespace), _children(worker)
    chance = random.Random(inputs.SEED or 0)
    for _ in range(_MESSAGES):
        broker.lpush(chance.choice(_QUEUES), json.dumps(_envelope(chance)))
        inputs.taken["envelopes"] = inputs.taken.get("envelopes", 0) + 1
    await wait_until(
        lambda: not worker.running or not any(map(broker.llen, _QUEUES)),
        description="the worker has taken every message",
        timeout=60,
    )
    assert worker.running, worker.log()[-3_000:]
    job = await SessionJobs(manager).delete_user_sessions("bob")
    assert (await finished(job)).removed == 0
    assert _children(worker) == children
    after = snapshot(raw, namespace)
    assert {key: after.get(key) for key in before} == before
    job = await SessionJobs(manager).delete_user_sessions("ann")
    assert (await finished(job)).removed == 1


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server of its own, because the broker lies on it too and other tests must not see it."""
    with RedisServer() as running:
        yield running


@pytest.fixture(scope="module")
def worker_settings(server: RedisServer) -> dict[str, object]:
    return {"redis_url": server.url(), "namespace": f"fuzz-{secrets.token_hex(8)}"}


@pytest.fixture
def namespace(worker_settings: dict[str, object]) -> str:
    return str(worker_settings["namespace"])


@pytest.fixture
def settings(worker_settings: dict[str, object]) -> Settings:
    return Settings(**worker_settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def worker(worker_settings: dict[str, object]) -> Iterator[CeleryProcess]:
    with celery_worker(**worker_settings) as running:
        yield running


@pytest.fixture
def broker(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client(db=1) as client:
        yield client


def _children(worker: CeleryProcess) -> str:
    return Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text()
