"""The schedule of periodic tasks, which the Celery app reads.

The message of an entry expires after one period, so messages never pile up while no worker runs. Beat may run
twice, or late: work is counted once, and a new sweep or pruning joins one that is open already.
"""

if __name__ != "agent_runtime.beat_schedule":  # as `beat_schedule`, from a checkout
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent / "src"))
    from agent_runtime.aliases import install_alias

    install_alias(__name__, "agent_runtime.beat_schedule")

from typing import Any

from agent_runtime.manager import Settings, load_settings


def _every(seconds: float, task: str, **kwargs: Any) -> dict[str, Any]:
    """Return an entry that sends a task at an interval."""
    return {"task": task, "schedule": seconds, "kwargs": kwargs, "options": {"expires": seconds}}


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the entries that these settings ask for.

    Example:
        >>> sorted(beat_schedule(Settings(prune_keep_last=5)))
        ['prune checkpoints', 'resume stalled jobs', 'sweep expired sessions']
    """
    entries = {
        "sweep expired sessions": _every(settings.sweep_interval_seconds, "tasks.cleanup_expired_sessions"),
        "resume stalled jobs": _every(settings.resume_interval_seconds, "tasks.resume_stalled_jobs"),
    }
    if settings.prune_keep_last is not None or settings.prune_older_than_seconds is not None:
        entries["prune checkpoints"] = _every(
            settings.prune_interval_seconds,
            "tasks.prune_checkpoints",
            keep_last=settings.prune_keep_last,
            older_than=settings.prune_older_than_seconds,
            except_agents=[agent.agent_id for agent in settings.prune_agents],
        )
    for agent in settings.prune_agents:
        entries[f"prune checkpoints of {agent.agent_id}"] = _every(
            settings.prune_interval_seconds,
            "tasks.prune_checkpoints",
            agent_id=agent.agent_id,
            keep_last=agent.keep_last,
            older_than=agent.older_than_seconds,
        )
    return entries


#: The schedule of this process's settings.
BEAT_SCHEDULE = beat_schedule(load_settings())
