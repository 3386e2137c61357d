"""What happens when a process starts."""

from celery.signals import beat_init, worker_init

from agent_runtime.manager import AgentSessionsError, load_settings
from agent_runtime.tasks import app
from agent_runtime.worker import flower as guarded_flower
from agent_runtime.worker.celery_patches import acknowledgements, pool_results
from agent_runtime.worker.preflight import check_broker, check_server


def install() -> None:
    """Connects the checks to Celery's signals, has workers live through broken connections, guards Flower."""
    worker_init.connect(_refuse_to_start_on_unfit_server, weak=False)
    beat_init.connect(_refuse_to_start_on_unfit_server, weak=False)
    app.conf.worker_consumer = "agent_runtime.worker.celery_patches.consumer:SteadyConsumer"
    acknowledgements.install()
    pool_results.install()
    guarded_flower.install()


def _refuse_to_start_on_unfit_server(**_: object) -> None:
    try:
        settings = load_settings()
        check_server(settings)
        check_broker(app.conf.broker_url, settings, app.conf.broker_use_ssl)
        check_broker(app.conf.result_backend, settings, app.conf.redis_backend_use_ssl)
    except AgentSessionsError as error:
        # Celery logs the exceptions of a signal's receivers and goes on; SystemExit ends the process.
        raise SystemExit(f"agent-sessions cannot start: {error}") from error
