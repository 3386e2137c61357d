"""Flower lets in nobody by mistake."""

import socket
from collections.abc import Iterator

import pytest

from tests.support.flower import FlowerProcess
from tests.support.processes import CeleryProcess

_AUTH = "ann:opensesame"

#: Every kind of page that shows something; `/login` and static files do not.
_ALWAYS_THERE = ["/", "/workers", "/tasks", "/broker", "/metrics", "/healthcheck"]
_PAGES = [*_ALWAYS_THERE, "/tasks/datatable", "/task/x", "/worker/x"]

_API_READS = ["/api/workers", "/api/tasks", "/api/task/types", "/api/queues/length", "/api/task/info/x"]
_API_WRITES = ["/api/worker/shutdown/x", "/api/task/send-task/tasks.run_job", "/api/task/revoke/x"]


@pytest.fixture
def flower(process_settings: dict[str, object]) -> Iterator[FlowerProcess]:
    with FlowerProcess(**process_settings) as running:
        yield running


def _refusal(*arguments: str, **settings: object) -> str:
    """Return Flower's message when it refuses to start."""
    with CeleryProcess("flower", *arguments, **settings) as process:
        assert process.wait() == 1
        log = process.log()
    assert "agent-sessions cannot start Flower: " in log
    assert "Traceback" not in log
    return log


def test_as_typed_it_answers_on_loopback_only_and_has_no_api(flower: FlowerProcess) -> None:
    assert flower.get("/workers").status == 200
    assert [path for path in _API_READS if flower.get(path).status != 404] == []
    assert [path for path in _API_WRITES if flower.post(path).status != 404] == []
    with socket.socket() as probe, pytest.raises(OSError, match="refused"):
        # 127.0.0.2 is this machine too: a server on all interfaces would answer here.
        probe.connect(("127.0.0.2", flower.port))


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "localhost.example", "192.0.2.7"])
def test_without_a_password_it_does_not_start_on_another_address(
    process_settings: dict[str, object], address: str
) -> None:
    log = _refusal(f"--address={address}", **process_settings)
    assert f"anybody could reach it on {address}; set AGENT_SESSIONS_FLOWER_BASIC_AUTH" in log


def test_its_own_variables_for_address_and_api_change_nothing_of_that(
    process_settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWER_ADDRESS", "0.0.0.0")
    assert "anybody could reach it on 0.0.0.0" in _refusal(**process_settings)
    monkeypatch.delenv("FLOWER_ADDRESS")
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    assert "needs authentication" in _refusal(**process_settings)
    monkeypatch.delenv("FLOWER_UNAUTHENTICATED_API")
    assert "needs authentication" in _refusal(**process_settings, flower_api=True)


def test_a_password_on_the_command_line_is_refused_and_not_repeated(
    process_settings: dict[str, object],
) -> None:
    log = _refusal(f"--basic-auth={_AUTH}", **process_settings)
    assert "--basic_auth on the command line shows a secret" in log
    assert "opensesame" not in log


@pytest.mark.parametrize("auth", ["annopensesame", "ann:", ":opensesame", "änn:opensesame", ""])
def test_a_setting_that_is_no_user_and_password_is_refused_and_not_repeated(
    process_settings: dict[str, object], auth: str
) -> None:
    with CeleryProcess("flower", **process_settings, flower_basic_auth=auth) as process:
        assert process.wait() != 0
        assert "AGENT_SESSIONS_FLOWER_BASIC_AUTH: Value error, must be user:password" in process.log()
        assert "opensesame" not in process.log()


def test_with_a_password_every_page_asks_for_it_and_it_may_listen_anywhere(
    process_settings: dict[str, object],
) -> None:
    settings = {**process_settings, "flower_basic_auth": _AUTH}
    with FlowerProcess("--address=0.0.0.0", **settings) as flower:
        for auth in ("", "ann:wrong", "ann"):
            refused = {path: flower.get(path, auth).status for path in _PAGES}
            assert set(refused.values()) == {401}, refused
        assert flower.get("/", "änn:öffne").status == 500  # Flower cannot compare it, and shows nothing
        shown = {path: flower.get(path, _AUTH).status for path in _ALWAYS_THERE}
        assert set(shown.values()) == {200}, shown
        assert flower.get("/api/workers", _AUTH).status == 404


def test_the_api_is_there_where_it_is_asked_for_and_asks_for_the_password(
    process_settings: dict[str, object],
) -> None:
    settings = {**process_settings, "flower_basic_auth": _AUTH, "flower_api": True}
    with FlowerProcess(**settings) as flower:
        assert [path for path in _API_READS[:4] if flower.get(path).status != 401] == []
        assert [path for path in _API_WRITES if flower.post(path).status != 401] == []
        assert [path for path in _API_READS[:4] if flower.get(path, _AUTH).status != 200] == []
