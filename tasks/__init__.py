"""Background work on Celery: the app, its tasks, and `SessionJobs`, which enqueues.

    tasks.delete_user_sessions(user_id)     revoke, then reclaim in slices    -> sessions deleted
    tasks.delete_agent_sessions(agent_id)   the same over every partition     -> sessions deleted
    tasks.prune_checkpoints(...)            keep the last N and/or drop old   -> checkpoints removed
    tasks.cleanup_expired_sessions()        the sweep                         -> sessions cleaned
    tasks.resume_stalled_jobs()             the rescue of stalled jobs        -> jobs published
    tasks.run_job(job_id)                   one slice of any of the above     -> the job's result, at its end

Each is safe to run twice: the truth about a job is its record in Redis, and a message only says "look there".

`install_tasks(app)` lets a caller's own Celery app run all of them, beside its own tasks.
"""

if __name__ != "agent_runtime.tasks":  # as `tasks`, from a checkout
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
    from agent_runtime.aliases import install_alias

    install_alias(__name__, "agent_runtime.tasks")


from agent_runtime.tasks.celery_app import (
    app,
    cleanup_expired_sessions,
    delete_agent_sessions,
    delete_user_sessions,
    prune_checkpoints,
    resume_stalled_jobs,
    run_job,
)
from agent_runtime.tasks.installation import install_tasks, install_where_included
from agent_runtime.tasks.job import Job
from agent_runtime.tasks.session_jobs import SessionJobs

install_where_included()

__all__ = [
    "Job",
    "SessionJobs",
    "app",
    "cleanup_expired_sessions",
    "delete_agent_sessions",
    "delete_user_sessions",
    "install_tasks",
    "prune_checkpoints",
    "resume_stalled_jobs",
    "run_job",
]
