"""The Celery app, configured from the environment when it is imported."""

from celery import Celery

from beat_schedule import BEAT_SCHEDULE
from manager import load_settings
from tasks.celery_config import celery_config

app = Celery(
    "agent_sessions",
    task_cls="tasks.strict_messages:StrictTask",
    include=["tasks.entry_tasks", "tasks.job_tasks"],
)
app.conf.update(celery_config(load_settings()), beat_schedule=BEAT_SCHEDULE)
