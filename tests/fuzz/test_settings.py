"""Any environment gives settings, or a SettingsError that names the variable and keeps secrets."""

import json
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import strategies as st

from agent_runtime.manager import SessionManager, Settings, SettingsError
from agent_runtime.manager.settings import ENV_PREFIX, load_settings
from agent_runtime.tasks.celery_config import celery_config
from tests.fuzz import corpus
from tests.fuzz.inputs import fuzz

_SECRET = "hunter2"
_VARIABLES = [ENV_PREFIX + name.upper() for name in Settings.model_fields]
_ADDRESSES = [name for name in _VARIABLES if name.endswith(("_URL", "_BACKEND"))]
_SECRETS = [*_ADDRESSES, *(name for name in _VARIABLES if name.endswith("_KEY"))]

#: Text that an environment can hold: bytes that are no UTF-8 come as halves of a certain range.
_texts = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff"),
    max_size=30,
)
_values = st.one_of(
    st.sampled_from(corpus.ENVIRONMENT),
    _texts,
    st.integers().map(str),
    st.floats().map(str),
    st.booleans().map(str),
    st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists).map(json.dumps),
)
_addresses = st.builds(
    "{}://x:{}@{}{}{}".format,
    st.sampled_from(["redis", "rediss", "unix", "http", "memory", "amqp", ""]),
    st.just(_SECRET) | _texts.map(lambda text: _SECRET + text),
    st.sampled_from(["host", "[::1]", "[::1", "host:1", "host:x", ""]) | _texts,
    st.sampled_from(["", "/", "/0", "/x", "/²", "/socket"]) | _texts.map("/{}".format),
    st.sampled_from(["", "?", "?db=1", "?db=²", "?max_connections=x", "?ssl_cert_reqs=none"])
    | _texts.map("?x={}".format),
)


@fuzz(
    1_200,
    corpus=[{"given": {name: value}} for name in _VARIABLES for value in corpus.ENVIRONMENT[-30:]]
    + [{"given": {name: _SECRET + half}} for name in _SECRETS for half in ("\udcff", "\u00ff")],
    given=st.dictionaries(st.sampled_from(_VARIABLES), _values, max_size=3),
)
def test_any_environment_gives_settings_or_names_the_variable(given: dict[str, str]) -> None:
    _set(given)
    wrong = _what_is_wrong()
    assert not wrong or any(name in wrong for name in given), wrong


@fuzz(
    400,
    corpus=[
        {"name": name, "value": value}
        for name in _SECRETS
        for value in corpus.ENVIRONMENT
        if _SECRET in value or "\udcff" in value
    ],
    name=st.sampled_from(_SECRETS),
    value=_addresses,
)
def test_no_error_shows_a_password(name: str, value: str) -> None:
    _set({name: value})
    wrong = _what_is_wrong()
    assert not wrong or name in wrong
    assert _SECRET not in wrong


@fuzz(150, corpus=[{"line": value} for value in corpus.ENVIRONMENT], line=_texts)
def test_any_file_of_settings_gives_settings_or_a_settings_error(line: str) -> None:
    _set({})
    Path(".env").write_bytes(f"AGENT_SESSIONS_TTL={line}\n{line}\n".encode(errors="surrogateescape"))
    wrong = _what_is_wrong()
    assert not wrong or "AGENT_SESSIONS_" in wrong or ".env" in wrong


@pytest.fixture(autouse=True)
def only_our_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Change to a folder without a `.env`, and restore the environment at the end.

    The environment is no argument of a test, because pytest would print it if the test failed.
    """
    monkeypatch.chdir(tmp_path)
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    yield
    _set({})


def _set(given: dict[str, str]) -> None:
    for name in _VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(given)
    load_settings.cache_clear()


def _what_is_wrong() -> str:
    """Return the error that ends a program with these settings, as printed; '' if it starts."""
    try:
        settings = load_settings()
        assert _SECRET not in repr(settings).replace(settings.namespace, "")
        if settings.max_sessions >= settings.partitions:  # a manager refuses fewer sessions than partitions
            assert SessionManager.from_settings(settings)
        assert celery_config(settings)
    except SettingsError as error:
        return "".join(traceback.format_exception(error))
    return ""
