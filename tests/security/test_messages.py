"""Contents of the broker and of the results are data: they are never run, and are checked before use."""

import base64
import json
import pickle
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery.result import AsyncResult

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.tasks import SessionJobs
from agent_runtime.tasks.celery_config import celery_config
from tests.support.keyspace import snapshot
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until

_HUGE = "x" * 3_000_000


@pytest.fixture(scope="module")
def namespace() -> str:
    return "security-messages"


@pytest.fixture(scope="module")
def process_settings(server: RedisServer, namespace: str) -> dict[str, object]:
    return {"redis_url": server.url(), "namespace": namespace}


@pytest.fixture(scope="module")
def worker(process_settings: dict[str, object]) -> Iterator[CeleryProcess]:
    with celery_worker(**process_settings) as running:
        yield running


@pytest.fixture(scope="module")
def app(process_settings: dict[str, Any]) -> Iterator[Celery]:
    """Another program on the same broker, which checks nothing before it sends."""
    app = Celery(set_as_current=False)
    app.conf.update(celery_config(Settings(**process_settings)))
    yield app
    app.close()


class _WritesAFile:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (self._path, "w")


def _pickled(path: Path) -> bytes:
    return pickle.dumps([["ann", _WritesAFile(path)], {}, {}])


def _yaml(path: Path) -> bytes:
    return f"!!python/object/apply:builtins.open ['{path}', 'w']".encode()


def _msgpack(path: Path) -> bytes:
    return b"\x93\x91\xa3ann\x80\x80"


@pytest.mark.parametrize(
    ("content_type", "body_of"),
    [
        ("application/x-python-serialize", _pickled),
        ("application/x-yaml", _yaml),
        ("application/x-msgpack", _msgpack),
        ("application/data", _pickled),
        ("application/json", _pickled),
        *[("application/json", lambda _, body=body: body) for body in (b"5", b"null", b'"text"', b"[5]")],
    ],
    ids=["pickle", "yaml", "msgpack", "raw", "pickle that claims to be JSON", "5", "null", "text", "list"],
)
async def test_a_message_that_is_no_json_is_refused_unread(
    manager: SessionManager,
    server: RedisServer,
    worker: CeleryProcess,
    app: Celery,
    tmp_path: Path,
    content_type: str,
    body_of: Any,
) -> None:
    [session] = await create_sessions(manager, 1)
    sign, refused = tmp_path / "sign", _refusals(worker)
    _send_raw(server, body_of(sign), content_type)
    await wait_until(
        lambda: _refusals(worker) > refused,
        description="the worker to refuse the message",
    )
    assert not sign.exists()
    assert await manager.session_exists(session.session_id)
    assert app.send_task("tasks.delete_user_sessions", ["ann"]).get(timeout=600) == 1  # the worker goes on
    with server.client(db=1) as broker:
        # A message that is still held would come again. (Messages of others are held for a moment.)
        await wait_until(lambda: not broker.hlen("unacked"), description="none to be held")


def test_the_payload_would_write_the_file(tmp_path: Path) -> None:
    """Without this, the test above could not fail."""
    pickle.loads(_pickled(tmp_path / "sign"))[0][1].close()
    assert (tmp_path / "sign").exists()


@pytest.mark.parametrize("result", ["pickle", "an exception that is a function"])
def test_a_result_that_is_planted_is_never_run(
    server: RedisServer, app: Celery, tmp_path: Path, result: str
) -> None:
    sign, task_id = tmp_path / "sign", str(uuid.uuid4())
    meta: dict[str, Any] = {"status": "SUCCESS", "result": _WritesAFile(sign), "task_id": task_id}
    stored = pickle.dumps(meta)
    if result != "pickle":
        call = {"exc_module": "os", "exc_type": "system", "exc_message": [f"touch {sign}"]}
        stored = json.dumps({**meta, "status": "FAILURE", "result": call}).encode()
    with server.client(db=2) as results:
        results.set(f"celery-task-meta-{task_id}", stored, ex=60)
    with pytest.raises(Exception, match=r"utf-8|exception class"):
        _ = AsyncResult(task_id, app=app).result
    assert not sign.exists()


_BAD_CALLS: list[tuple[str, list[Any], dict[str, Any], str]] = [
    ("delete_user_sessions", [], {}, "missing 1 required positional argument"),
    ("delete_user_sessions", ["ann", "bot"], {}, "takes 2 positional arguments"),
    ("delete_user_sessions", ["ann"], {"force": True}, "unknown option force"),
    *[
        ("delete_user_sessions", [value], {}, "user_id must be a string")
        for value in (5, None, True, ["ann"], {"ann": 1})
    ],
    ("delete_user_sessions", [""], {}, "user_id must not be empty"),
    ("delete_user_sessions", ["\ud800"], {}, "user_id must be valid Unicode"),
    ("delete_user_sessions", [_HUGE], {}, "3000000 bytes long; the limit is 512"),
    ("delete_user_sessions", ["ann"], {"reason": _HUGE}, "reason is 3000000 bytes long"),
    ("delete_user_sessions", ["ann"], {"grace": "soon"}, "grace must be from 0 to"),
    ("delete_user_sessions", ["ann"], {"max_affected": "1"}, "max_affected must be a whole number"),
    ("delete_user_sessions", ["ann"], {"idempotency_key": ["x"]}, "idempotency_key must be a string"),
    ("delete_agent_sessions", [{}], {}, "agent_id must be a string"),
    ("prune_checkpoints", [], {}, "keep_last"),
    ("prune_checkpoints", [], {"keep_last": "1"}, "keep_last must be a whole number"),
    ("prune_checkpoints", [], {"keep_last": -1}, "keep_last must be a whole number"),
    ("prune_checkpoints", [], {"older_than": "old"}, "older_than"),
    ("prune_checkpoints", [7], {"keep_last": 1}, "session_id must be a string"),
    ("prune_checkpoints", [], {"keep_last": 1, "except_agents": "bot"}, "except_agents must be a list"),
    ("prune_checkpoints", [], {"keep_last": 1, "except_agents": [5]}, "except_agents must be a string"),
    ("cleanup_expired_sessions", ["ann"], {}, "takes 1 positional argument"),
    ("resume_stalled_jobs", [], {"job_id": "x"}, "unexpected keyword argument"),
    ("run_job", [], {}, "missing 1 required positional argument"),
    ("run_job", [5], {}, "job_id must be a string"),
    ("run_job", [_HUGE], {}, "job_id is 3000000 bytes long"),
    ("run_job", ["job_x"], {}, "job 'job_x' not found"),
    *[
        ("run_job", ["JOB"], {"shard": shard}, "shard must be a whole number")
        for shard in ("0", -1, 1.5, [0])
    ],
    *[("run_job", ["JOB"], {"number": number}, "number must be a whole number") for number in ("1", 0, {})],
]


async def test_arguments_that_are_no_good_fail_their_task_and_change_nothing(
    manager: SessionManager, raw: redis.Redis, worker: CeleryProcess, app: Celery, namespace: str
) -> None:
    [session] = await create_sessions(manager, 1)
    job = await SessionJobs(manager).delete_user_sessions("bob", grace=3600)
    before = snapshot(raw, namespace)
    sent = []
    for name, args, kwargs, says in _BAD_CALLS:
        known = [job.id if argument == "JOB" else argument for argument in args]
        sent.append(
            (app.send_task(f"tasks.{name}", known, kwargs), f"{name}{args!r:.60}{kwargs!r:.60}", says)
        )
    wrong = []
    for result, shown, says in sent:
        error = result.get(timeout=600, propagate=False)
        if result.state != "FAILURE" or not _says(error, says):
            wrong.append(f"{shown}: {result.state} {error!r:.200}")
    assert wrong == []
    assert snapshot(raw, namespace) == before
    assert await manager.session_exists(session.session_id)
    assert app.send_task("tasks.delete_user_sessions", ["ann"]).get(timeout=600) == 1  # the worker goes on
    await job.cancel()


def _refusals(worker: CeleryProcess) -> int:
    """Count the messages that the worker has refused, for their type or because the body is not of that
    type."""
    log = worker.log()
    return log.count("Received invalid task message") + log.count("Can't decode message body")


def _says(error: object, text: str) -> bool:
    return any(each in str(error) for each in text.split("|"))


def _send_raw(server: RedisServer, body: bytes, content_type: str) -> None:
    """Put a message into a queue as Celery does, with any body."""
    task_id = str(uuid.uuid4())
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "binary",
        "content-type": content_type,
        "headers": {"lang": "py", "task": "tasks.delete_user_sessions", "id": task_id, "root_id": task_id},
        "properties": {
            "correlation_id": task_id,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "bulk"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": task_id,
        },
    }
    with server.client(db=1) as broker:
        broker.lpush("bulk", json.dumps(message))
