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

from agent_runtime.manager import load_settings

_settings = load_settings()


def _every(seconds: float, task: str, **kwargs: Any) -> dict[str, Any]:
    """Return an entry that sends a task at an interval."""
    return {"task": task, "schedule": seconds, "kwargs": kwargs, "options": {"expires": seconds}}


BEAT_SCHEDULE = {
    "sweep expired sessions": _every(_settings.sweep_interval_seconds, "tasks.cleanup_expired_sessions"),
    "resume stalled jobs": _every(_settings.resume_interval_seconds, "tasks.resume_stalled_jobs"),
}

if _settings.prune_keep_last is not None or _settings.prune_older_than_seconds is not None:
    BEAT_SCHEDULE["prune checkpoints"] = _every(
        _settings.prune_interval_seconds,
        "tasks.prune_checkpoints",
        keep_last=_settings.prune_keep_last,
        older_than=_settings.prune_older_than_seconds,
        except_agents=[agent.agent_id for agent in _settings.prune_agents],
    )

for _agent in _settings.prune_agents:
    BEAT_SCHEDULE[f"prune checkpoints of {_agent.agent_id}"] = _every(
        _settings.prune_interval_seconds,
        "tasks.prune_checkpoints",
        agent_id=_agent.agent_id,
        keep_last=_agent.keep_last,
        older_than=_agent.older_than_seconds,
    )
