"""Bulk jobs: their models, their errors, and the one door to them.

manager.jobs                      `Jobs`: open, list, control, preview and work on jobs
JobSpec                           what a job does: `manager.jobs.user_deletion("user_123")`
JobRequest · JobOptions           who asked for it, and with what limits
JobProgress · JobState · Receipt  what callers get back
"""

from agent_runtime.manager.errors import (
    EnqueueError,
    JobCancelledError,
    JobFailedError,
    JobNotFoundError,
    JobStateError,
    JobWaitTimeoutError,
    TooManyAffectedError,
)
from agent_runtime.manager.jobs.job_store import OpenedJob
from agent_runtime.manager.jobs.jobs import Jobs
from agent_runtime.manager.jobs.kinds import AgentDeletion, Pruning, Sweep, UserDeletion
from agent_runtime.manager.jobs.listing import JobFilter
from agent_runtime.manager.jobs.receipts import ChainCheck
from agent_runtime.manager.jobs.records import Record
from agent_runtime.manager.jobs.request import JobOptions, JobRequest
from agent_runtime.manager.jobs.slices import Slice
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.models.jobs import (
    JobKind,
    JobPage,
    JobProgress,
    JobState,
    Preview,
    Receipt,
    Residue,
)
from agent_runtime.manager.new_ids import new_job_id

__all__ = [
    "AgentDeletion",
    "ChainCheck",
    "EnqueueError",
    "JobCancelledError",
    "JobFailedError",
    "JobFilter",
    "JobKind",
    "JobNotFoundError",
    "JobOptions",
    "JobPage",
    "JobProgress",
    "JobRequest",
    "JobSpec",
    "JobState",
    "JobStateError",
    "JobWaitTimeoutError",
    "Jobs",
    "OpenedJob",
    "Preview",
    "Pruning",
    "Receipt",
    "Record",
    "Residue",
    "Slice",
    "Sweep",
    "TooManyAffectedError",
    "UserDeletion",
    "new_job_id",
]
