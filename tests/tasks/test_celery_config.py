"""The configuration of Celery."""

import ssl

import pytest

from agent_runtime.manager import Settings, SettingsError
from agent_runtime.manager.jobs import JobKind
from agent_runtime.tasks import app
from agent_runtime.tasks.celery_config import celery_config, queue_of


@pytest.mark.parametrize(
    ("redis_url", "broker_url"),
    [
        ("redis://localhost", "redis://localhost/1"),
        ("redis://:secret@db.example:7000/4", "redis://:secret@db.example:7000/5"),
        ("rediss://db.example/0?ssl_cert_reqs=none&ssl_password=pw", "rediss://db.example/1"),
        ("redis://localhost/0?protocol=3&max_connections=50&socket_timeout=2", "redis://localhost/1"),
        ("redis://localhost?db=3", "redis://localhost/4"),
        ("unix:///run/redis.sock?db=2&password=pw", "redis+socket://:pw@/run/redis.sock?virtual_host=3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=1"),
        ("unix://ann:pw@/run/redis.sock?db=3", "redis+socket://ann:pw@/run/redis.sock?virtual_host=4"),
    ],
)
def test_the_broker_is_by_default_the_next_database_of_the_same_server(
    redis_url: str, broker_url: str
) -> None:
    assert celery_config(Settings(redis_url=redis_url))["broker_url"] == broker_url


def test_what_an_address_says_of_tls_is_told_apart_from_it() -> None:
    query = "ssl_ca_certs=%2Fca.pem&ssl_password=pw&ssl_check_hostname=false"
    config = celery_config(Settings(redis_url=f"rediss://db/0?{query}", result_backend="rediss://r/0"))
    assert config["broker_use_ssl"] == {
        "ssl_ca_certs": "/ca.pem",
        "ssl_password": "pw",
        "ssl_check_hostname": False,
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
    }
    assert config["redis_backend_use_ssl"] == {"ssl_cert_reqs": ssl.CERT_REQUIRED}


def test_a_way_to_check_certificates_that_there_is_not_is_named_with_its_variable() -> None:
    with pytest.raises(SettingsError, match="AGENT_SESSIONS_RESULT_BACKEND: ssl_cert_reqs must be one of"):
        celery_config(Settings(result_backend="rediss://r/0?ssl_cert_reqs=maybe"))


def test_broker_and_results_may_lie_elsewhere() -> None:
    settings = Settings(
        redis_url="sentinel://somewhere", broker_url="redis://b/0", result_backend="redis://r/0"
    )

    config = celery_config(settings)

    assert (config["broker_url"], config["result_backend"]) == ("redis://b/0", "redis://r/0")


@pytest.mark.parametrize(
    "redis_url",
    [
        "sentinel://somewhere",
        "redis://:secret@[::1",
        "redis://:secret@host/²",
        "redis://:secret@host/" + "9" * 5_000,
    ],
    ids=range(4),
)
def test_an_address_that_cannot_serve_as_broker_is_named(redis_url: str) -> None:
    with pytest.raises(SettingsError, match="AGENT_SESSIONS_BROKER_URL") as caught:
        celery_config(Settings(redis_url=redis_url))
    assert "secret" not in str(caught.value)


def test_every_entry_of_the_schedule_names_a_task() -> None:
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


def test_every_entry_of_the_schedule_is_void_after_its_period() -> None:
    assert all(entry["options"]["expires"] == entry["schedule"] for entry in app.conf.beat_schedule.values())


def test_every_queue_has_a_key_of_its_own() -> None:
    """With one key for all, the broker put every message into every queue."""
    queues = app.amqp.queues.values()

    assert len({queue.routing_key for queue in queues}) == len(queues) == 3


def test_every_kind_of_job_has_a_queue_that_workers_read() -> None:
    assert {queue_of(kind) for kind in JobKind} <= set(app.amqp.queues)


def test_only_json_is_accepted() -> None:
    assert app.conf.accept_content == ["json"]


def test_time_outs_of_our_settings_hold_for_the_broker_and_the_results() -> None:
    config = celery_config(Settings(call_timeout_seconds=7, connect_timeout_seconds=0.5))
    assert config["broker_transport_options"]["socket_timeout"] == 7
    assert config["broker_transport_options"]["socket_connect_timeout"] == 0.5
    assert (config["redis_socket_timeout"], config["redis_socket_connect_timeout"]) == (7, 0.5)


def test_an_idle_worker_is_not_broken_off_by_a_short_time_out() -> None:
    """kombu waits one second within a read."""
    config = celery_config(Settings(call_timeout_seconds=0.2))
    assert config["broker_transport_options"]["socket_timeout"] > 1
