"""Any arguments of `agent-sessions`: no traceback, and a documented exit status."""

import os
from collections.abc import Iterator

import pytest
import redis
from hypothesis import strategies as st
from typer.testing import CliRunner

from agent_runtime.manager.settings import ENV_PREFIX, load_settings
from agent_runtime.worker.cli.program import program
from agent_runtime.worker.cli.terminal import exit_status as statuses
from tests.fuzz import corpus, made
from tests.fuzz.inputs import fuzz
from tests.support.leftovers import remove_namespace
from tests.support.redis_server import RedisServer

_STATUSES = {statuses.SUCCESS, statuses.FAILURE, statuses.USAGE_ERROR, statuses.REFUSED}

_COMMANDS = [
    ["delete-user"],
    ["delete-agent"],
    ["prune"],
    ["sweep"],
    *(["jobs", each] for each in ("list", "show", "watch", "pause", "resume", "cancel", "undo")),
    *(["receipts", each] for each in ("list", "verify")),
]
_OPTIONS = [
    *("--json", "--help", "--version", "--dry-run", "--wait", "--no-wait", "--timeout", "--grace"),
    *(
        "--max-affected",
        "--requested-by",
        "--reason",
        "--idempotency-key",
        "--session",
        "--agent",
        "--keep-last",
    ),
    *("--older-than", "--state", "--kind", "--target", "--limit", "--cursor", "--last-hash", "--", "-x"),
]
_values = st.one_of(
    made.texts,
    st.integers().map(str),
    st.sampled_from(
        ["90s", "1h", "9" * 400, "1e5", "²s", "\u0661s", "0", "-1", "1:job", "9" * 400 + ":x", "done"]
    ),
)
_typed = st.builds(
    lambda command, rest: [*command, *rest],
    st.sampled_from([*_COMMANDS, ["jobs"], ["receipts"], []]),
    st.lists(st.sampled_from(_OPTIONS) | _values, max_size=5),
)


@fuzz(
    120,
    corpus=[{"typed": [*command, text]} for command in _COMMANDS[4:] for text in ("\x00", "\udcff", "🙂")]
    + [{"typed": ["delete-user", "--dry-run", text]} for text in corpus.IDS[:60:3]]
    + [
        {"typed": ["delete-user", "ann", "--dry-run", "--grace", text]}
        for text in ("9" * 400, "\u0661s", "²")
    ]
    + [
        {"typed": ["prune", "--dry-run", "--keep-last", text]}
        for text in ("9" * 30, "9" * 5_000, "-1", "\u0661")
    ]
    + [
        {"typed": ["jobs", "list", "--cursor", text]}
        for text in ("9" * 400 + ":x", "²:x", "1:", ":", "1:\udcff")
    ],
    typed=_typed,
)
def test_whatever_is_typed_ends_with_a_documented_status(
    raw: redis.Redis, namespace: str, typed: list[str]
) -> None:
    # Without `--yes` and a terminal nothing is enqueued, so no worker is waited for.
    done = CliRunner().invoke(program, typed, prog_name="agent-sessions")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in _STATUSES
    assert "Traceback" not in done.output
    left = {key.rpartition(b":")[2] for key in raw.scan_iter(match=f"{namespace}:*")}
    assert left <= {b"layout", b"receipt_key"}  # the latter made by `receipts verify`


@pytest.fixture(autouse=True)
def on_this_store(
    server: RedisServer, namespace: str, raw: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let commands in this process use the store of this test."""
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AGENT_SESSIONS_REDIS_URL", server.url())
    monkeypatch.setenv("AGENT_SESSIONS_NAMESPACE", namespace)
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()
    remove_namespace(raw, namespace)
