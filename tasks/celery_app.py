"""The Celery app of this package, configured from the environment when it is imported.

It becomes neither the current nor the default app: a caller's own Celery stays as it is.
"""

from celery import Celery

from agent_runtime.beat_schedule import BEAT_SCHEDULE
from agent_runtime.manager import load_settings
from agent_runtime.tasks.celery_config import celery_config
from agent_runtime.tasks.installation import register_tasks

app = Celery(
    "agent_sessions",
    set_as_current=False,
    task_cls="agent_runtime.tasks.strict_messages:StrictTask",
)
app.conf.update(celery_config(load_settings()), beat_schedule=BEAT_SCHEDULE)

# At once: Celery registers the tasks of other apps in the process here too, and the first of a name stays.
_tasks = register_tasks(app, load_settings(), lazy=False)
delete_user_sessions = _tasks["delete_user_sessions"]
delete_agent_sessions = _tasks["delete_agent_sessions"]
prune_checkpoints = _tasks["prune_checkpoints"]
cleanup_expired_sessions = _tasks["cleanup_expired_sessions"]
resume_stalled_jobs = _tasks["resume_stalled_jobs"]
run_job = _tasks["run_job"]
