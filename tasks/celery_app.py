"""The Celery app, configured from the environment when it is imported."""

from celery import Celery

from agent_runtime.beat_schedule import BEAT_SCHEDULE
from agent_runtime.manager import load_settings
from agent_runtime.tasks.celery_config import celery_config

app = Celery(
    "agent_sessions",
    task_cls="agent_runtime.tasks.strict_messages:StrictTask",
    include=["agent_runtime.tasks.entry_tasks", "agent_runtime.tasks.job_tasks"],
)
app.conf.update(celery_config(load_settings()), beat_schedule=BEAT_SCHEDULE)
