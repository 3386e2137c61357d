"""Task messages: whatever their arguments, a task does what they ask or refuses them and changes nothing."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import strategies as st

from agent_runtime.manager import AgentSessionsError, InvalidArgumentError
from agent_runtime.manager.jobs import JobNotFoundError, TooManyAffectedError
from agent_runtime.manager.settings import ENV_PREFIX, load_settings
from agent_runtime.tasks import app
from agent_runtime.tasks import async_bridge as bridges
from tests.fuzz import corpus, made
from tests.fuzz.inputs import fuzz
from tests.support.keyspace import snapshot
from tests.support.leftovers import remove_namespace
from tests.support.redis_server import RedisServer

_OPTIONS = ["grace", "max_affected", "requested_by", "reason", "idempotency_key"]
_PARAMETERS = {
    "tasks.delete_user_sessions": ["user_id", *_OPTIONS],
    "tasks.delete_agent_sessions": ["agent_id", *_OPTIONS],
    "tasks.prune_checkpoints": [
        "session_id", "agent_id", "keep_last", "older_than", "except_agents", *_OPTIONS,
    ],
    "tasks.cleanup_expired_sessions": _OPTIONS,
    "tasks.run_job": ["job_id", "shard", "number"],
    "tasks.resume_stalled_jobs": [],
}  # fmt: skip

_values = made.json_values | st.sampled_from(["ann", "bot", 0, 1, 1.5, None, float("nan"), float("inf")])
_messages = st.sampled_from(sorted(_PARAMETERS)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.dictionaries(st.sampled_from([*_PARAMETERS[name], "unknown"]), _values, max_size=4),
    )
)

#: After these errors, nothing may have changed.
_REFUSALS = (InvalidArgumentError, TooManyAffectedError, JobNotFoundError, TypeError)


@fuzz(
    100,
    corpus=[
        {"message": (name, {parameter: value})}
        for name, parameters in _PARAMETERS.items()
        for parameter in parameters
        for value in ([], {}, -1, "\ud83d", float("nan"))
    ]
    + [
        {"message": ("tasks.prune_checkpoints", {"keep_last": 1, "except_agents": value})}
        for value in ("bot", 5, {"bot": 1}, [5], [None], [[]], [""], ["bot"], True)
    ],
    message=_messages,
)
def test_a_message_is_obeyed_or_refused_and_then_nothing_is_changed(
    raw: redis.Redis, namespace: str, in_process: None, message: tuple[str, dict[str, Any]]
) -> None:
    name, arguments = message
    remove_namespace(raw, namespace)
    here = bridges.bridge()
    here.run(here.manager.create_session("ann", "bot"))
    here.run(here.manager.revoke_user_sessions("bob", "open"))
    before = snapshot(raw, namespace)
    try:
        answer = app.tasks[name].apply(kwargs=arguments, throw=True).get(disable_sync_subtasks=False)
    except _REFUSALS:
        assert snapshot(raw, namespace) == before
    else:
        assert isinstance(answer, int)


@pytest.mark.parametrize("value", corpus.HUGE, ids=range(len(corpus.HUGE)))
def test_numbers_of_too_many_digits_are_refused(in_process: None, value: int) -> None:
    for name, arguments in (
        ("tasks.run_job", {"job_id": "x", "shard": value}),
        ("tasks.run_job", {"job_id": "x", "number": value}),
        ("tasks.prune_checkpoints", {"keep_last": value}),
    ):
        with pytest.raises(AgentSessionsError):
            app.tasks[name].apply(kwargs=arguments, throw=True).get(disable_sync_subtasks=False)


@pytest.fixture
def in_process(
    server: RedisServer, namespace: str, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Have the tasks of this process work on the store of this test."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AGENT_SESSIONS_REDIS_URL", server.url())
    monkeypatch.setenv("AGENT_SESSIONS_NAMESPACE", namespace)
    load_settings.cache_clear()
    monkeypatch.setattr(bridges, "_bridges", {})
    for name in _PARAMETERS:
        monkeypatch.setattr(app.tasks[name], "settings", load_settings())
    yield
    here = bridges.bridge()
    here.run(here.manager.aclose())
    load_settings.cache_clear()
    remove_namespace(raw, namespace)
