"""Settings come from the environment and `.env`; a wrong one stops with its variable's name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent_runtime.manager import SessionManager, Settings, SettingsError
from agent_runtime.manager.settings import ENV_PREFIX, load_settings

_ROOT = Path(__file__).parents[2]
_SHOW = "from manager import load_settings; s = load_settings(); print(s.namespace, s.partitions, s.ttl)"


def _run(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a fresh process says, with these variables alone, started in that folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    environment |= {"PYTHONPATH": str(_ROOT)} | {
        ENV_PREFIX + name: value for name, value in variables.items()
    }
    command = [sys.executable, "-c", _SHOW]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_defaults_are_those_of_the_contract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    settings = Settings()
    assert (settings.redis_url, settings.namespace) == ("redis://localhost:6379/0", "agent_sessions")
    assert (settings.ttl, settings.max_sessions, settings.partitions) == (3600, 10_000, 1)


def test_variables_count_more_than_the_env_file_and_the_env_file_more_than_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "AGENT_SESSIONS_NAMESPACE=filed\nAGENT_SESSIONS_PARTITIONS=3\nSOMETHING_ELSE=1\n"
    )
    run = _run(tmp_path, PARTITIONS="5")
    assert run.stdout.split() == ["filed", "5", "3600"], run.stderr


def test_every_wrong_value_is_named_with_its_variable(tmp_path: Path) -> None:
    run = _run(tmp_path, TTL="0", NAMESPACE="{x}", MAX_SESSIONS="many")
    assert run.returncode == 1
    message = run.stderr[run.stderr.rindex("SettingsError") :]
    assert "AGENT_SESSIONS_TTL='0': " in message
    assert "AGENT_SESSIONS_NAMESPACE='{x}': " in message
    assert "AGENT_SESSIONS_MAX_SESSIONS='many': " in message


@pytest.mark.parametrize(
    "value", ["{", "nonsense", "[" * 5_000, '[{"agent_id": "bot"}]', '{"agent_id": "bot"}']
)
def test_what_is_not_the_json_asked_for_is_named_with_its_variable(tmp_path: Path, value: str) -> None:
    run = _run(tmp_path, PRUNE_AGENTS=value)
    assert "agent_runtime.manager.errors.SettingsError: AGENT_SESSIONS_PRUNE_AGENTS=" in run.stderr


@pytest.mark.parametrize("name", ["REDIS_URL", "BROKER_URL", "RECEIPT_KEY"])
def test_a_wrong_value_that_is_secret_is_not_shown(tmp_path: Path, name: str) -> None:
    run = _run(tmp_path, **{name: "redis://:hunter2@host/\udcff"})
    assert f"agent_runtime.manager.errors.SettingsError: AGENT_SESSIONS_{name}: " in run.stderr
    assert "hunter2" not in run.stderr


def test_a_file_of_settings_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"AGENT_SESSIONS_NAMESPACE=\xff\n")
    assert "agent_runtime.manager.errors.SettingsError: .env " in _run(tmp_path).stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("namespace", ""),
        ("namespace", "a b"),
        ("namespace", "a{b"),
        ("namespace", "x" * 65),
        ("partitions", 0),
        ("partitions", 4097),
        ("ttl", -1),
        ("max_sessions", 0),
        ("max_id_bytes", 0),
        ("max_metadata_bytes", 0),
        ("max_checkpoint_bytes", 0),
        ("compress_above_bytes", -1),
        ("call_timeout_seconds", 0),
        ("connect_retries", -1),
        ("slice_seconds", 61),
        ("batch_target_ms", 0),
        ("job_retention_seconds", 59),
        ("stalled_after_seconds", 0),
        ("prune_keep_last", -1),
        ("ttl", 10**12),
        ("max_sessions", 2**63),
        ("stalled_after_seconds", 1e308),
        ("call_timeout_seconds", float("inf")),
        ("job_retention_seconds", 10**12),
        ("receipt_retention_seconds", 10**12),
        ("prune_older_than_seconds", 1e308),
        ("receipt_key", "\ud83d"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_a_manager_made_from_settings_has_their_limits() -> None:
    settings = Settings(ttl=7, max_sessions=9, redis_url="redis://example:1/2")
    manager = SessionManager.from_settings(settings)
    assert (manager.ttl, manager.max_sessions, manager.settings) == (7, 9, settings)
    arguments = manager._context.client._conn.connection_pool.connection_kwargs
    assert (arguments["host"], arguments["port"], arguments["db"]) == ("example", 1, 2)


@pytest.mark.parametrize("url", ["nonsense", "redis://:secret/x@host:port/0", "redis://:secret@[::1"])
def test_an_address_that_is_none_is_named_by_its_variable_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="AGENT_SESSIONS_REDIS_URL must be like") as caught:
        SessionManager.from_settings(Settings(redis_url=url))
    assert "secret" not in str(caught.value)


def test_settings_cannot_be_changed_and_are_read_once() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.ttl = 5  # type: ignore[misc]
    assert load_settings() is load_settings()
