"""Checks at the start of a process, and corrections of the libraries that it runs on."""

from celery.signals import beat_init, worker_init

from agent_runtime.manager import AgentSessionsError, load_settings
from agent_runtime.tasks import app
from agent_runtime.worker import flower
from agent_runtime.worker.celery_patches import acknowledgements, pool_results
from agent_runtime.worker.preflight import check_broker, check_layout, check_server


def install() -> None:
    """Connect the checks to Celery's signals, and install the corrections of Celery, kombu and Flower."""
    worker_init.connect(_check_servers, weak=False)
    beat_init.connect(_check_servers, weak=False)
    app.conf.worker_consumer = "agent_runtime.worker.celery_patches.consumer:ReconnectingConsumer"
    acknowledgements.install()
    pool_results.install()
    flower.install()


def _check_servers(**_: object) -> None:
    """End the process if a server is unfit."""
    try:
        settings = load_settings()
        check_server(settings)
        check_layout(settings)
        check_broker(app.conf.broker_url, settings, app.conf.broker_use_ssl)
        check_broker(app.conf.result_backend, settings, app.conf.redis_backend_use_ssl)
    except AgentSessionsError as error:
        # Celery logs any other exception of a signal's receiver and continues; SystemExit ends the process.
        raise SystemExit(f"agent-sessions cannot start: {error}") from error
