"""What happens when a process starts."""

import os

from celery.signals import beat_init, worker_init

from manager import AgentSessionsError, load_settings
from tasks import app
from worker.server_checks import check_broker, check_server


def install() -> None:
    """Connects the checks to Celery's signals, gives workers a steady consumer and Flower a safe default."""
    worker_init.connect(_refuse_to_start_on_unfit_server, weak=False)
    beat_init.connect(_refuse_to_start_on_unfit_server, weak=False)
    app.conf.worker_consumer = "worker.consumer:SteadyConsumer"
    # Flower by default listens on all interfaces, without a password. FLOWER_ADDRESS or --address changes it.
    os.environ.setdefault("FLOWER_ADDRESS", "127.0.0.1")


def _refuse_to_start_on_unfit_server(**_: object) -> None:
    try:
        settings = load_settings()
        check_server(settings)
        check_broker(app.conf.broker_url, settings)
        check_broker(app.conf.result_backend, settings)
    except AgentSessionsError as error:
        # Celery logs the exceptions of a signal's receivers and goes on; SystemExit ends the process.
        raise SystemExit(f"agent-sessions cannot start: {error}") from error
