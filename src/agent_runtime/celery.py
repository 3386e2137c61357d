"""The app for `celery -A agent_runtime worker`, `… beat` and `… flower`."""

if __name__ == "celery":  # the folder of this file is on sys.path before Celery's own
    raise ImportError(f"{__file__} hides Celery: take its folder off sys.path, and import agent_runtime")

from agent_runtime.worker.celery import app

__all__ = ["app"]
