"""The app of workers that have the broker hand messages out again after one second."""

from agent_runtime.worker.celery import app

__all__ = ["app"]

app.conf.broker_transport_options = {
    **app.conf.broker_transport_options,
    "visibility_timeout": 1,
    "unacked_restore_interval": 0.2,
}
