"""`celery -A agent_runtime worker`, `… beat` and `… flower` find the app here."""

from agent_runtime.worker.celery import app

__all__ = ["app"]
