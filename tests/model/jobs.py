"""Specification of bulk jobs, as plain objects in memory."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from tests.model.model import Model, ModelCheckpoint, ModelSession


class Task(NamedTuple):
    """The work of a job. Equal tasks are the same work, so a request for one can join the other."""

    kind: str  # 'user' | 'agent' | 'sweep' | 'prune'
    target: str = ""
    keep_last: int | None = None
    older_than: float | None = None
    except_agents: tuple[str, ...] = ()
    #: For a pruning: 'session' or 'agent' says what `target` is.
    scope: str = ""

    @property
    def deletes(self) -> bool:
        return self.kind in ("user", "agent")


class Proof(NamedTuple):
    """The expected contents of a deletion's receipt."""

    sessions: int
    checkpoints: int
    residue: int


@dataclass(eq=False)
class ModelJob:
    """A job and the sessions it holds."""

    job_id: str
    task: Task
    state: str
    total: int = 0
    #: Number of sessions that the job says it has looked at.
    done: int = 0
    removed: int = 0
    restored: int = 0
    checkpoints: int = 0
    begun: bool = False
    #: True while the grace period lasts.
    waits: bool = False
    is_undo: bool = False
    #: True for a pruning of which a slice has been done: it will not look again at places it has passed.
    has_passed: bool = False
    #: Revoked sessions, one list for each request, by partition.
    revoked_sets: dict[int, list[list[ModelSession]]] = field(default_factory=dict)
    cutoff: int = 0

    @property
    def goes_on(self) -> bool:
        return self.state in ("queued", "running", "undoing")

    @property
    def can_begin(self) -> bool:
        """True if a slice of the job would be worked on now."""
        return self.goes_on or (self.state == "scheduled" and not self.waits)

    @property
    def listed_as_open(self) -> bool:
        return self.goes_on or self.state == "scheduled"

    def holds(self, partition: int) -> list[ModelSession]:
        """Return the sessions that the job has still to reclaim in a partition, in the order of
        reclaiming."""
        return [
            session
            for revoked in self.revoked_sets.get(partition, [])
            for session in sorted(revoked, key=ModelSession.in_order)
            if session.exists and session.revoked.get(self.task.kind) is self
        ]

    def held(self) -> list[ModelSession]:
        return [session for partition in sorted(self.revoked_sets) for session in self.holds(partition)]


class JobModel(Model):
    """All sessions and jobs of one namespace."""

    jobs: dict[str, ModelJob]

    def start(self) -> None:
        self.jobs = {}
        #: The job that a request for the same work finds.
        self.found_by_task: dict[Task, ModelJob] = {}
        #: Accepted requests: the job of each, and the number of sessions it added.
        self.requests: dict[str, tuple[ModelJob, int]] = {}
        self.proofs: list[Proof] = []

    def owned(self, kind: str, owner: str) -> list[ModelSession]:
        """Return the sessions that a deletion would revoke now, also those revoked by the other kind."""
        return [each for each in self.existing() if each.is_of(kind, owner) and kind not in each.revoked]

    def could_be_listed(self, kind: str, owner: str) -> int:
        """Count expired sessions that the index of this owner may still list."""
        return sum(each.unswept and each.is_of(kind, owner) for each in self.sessions.values())

    def pruned(self, task: Task, older: datetime) -> list[tuple[ModelSession, list[ModelCheckpoint]]]:
        """Return the checkpoints that a pruning would remove now. Those from before `older` are too old."""
        oldest = None if task.older_than is None else older
        found = (
            (session, session.due(task.keep_last, oldest))
            for session in self.live()
            if (not task.scope or getattr(session, f"{task.scope}_id") == task.target)
            and session.agent_id not in task.except_agents
        )
        return [(session, due) for session, due in found if due]

    def affected(self, task: Task, older: datetime) -> int:
        if task.deletes:
            return len(self.owned(task.kind, task.target))
        if task.kind == "sweep":
            return len(self.unswept())
        return sum(len(due) for _, due in self.pruned(task, older))

    def added_range(self, task: Task) -> range:
        """Return the numbers that a request may add to the total of the job that it opens or joins."""
        if task.deletes:
            low = len(self.owned(task.kind, task.target))
            return range(low, low + self.could_be_listed(task.kind, task.target) + 1)
        if task in self.found_by_task and self._joinable(self.found_by_task[task]):
            return range(1)
        if task.kind == "sweep":
            exactly = len(self.unswept())
        elif task.scope == "agent":
            exactly = len(self.owned("agent", task.target))
        else:
            exactly = 1 if task.scope else len(self.existing())
        return range(exactly, exactly + 1)

    def _joinable(self, job: ModelJob) -> bool:
        stopped = job.task.deletes and job.state in ("cancelled", "failed")
        return job.state in ("scheduled", "queued", "running", "paused") or stopped

    def is_being_undone(self, task: Task) -> bool:
        job = self.found_by_task.get(task)
        return job is not None and (job.state == "undoing" or (job.state == "failed" and job.is_undo))

    def open(self, task: Task, request_id: str, added: int, *, grace: bool) -> ModelJob:
        """Accept a request, and return the job that it opens or joins."""
        job = self.found_by_task.get(task)
        if job is not None and self._joinable(job):
            self._join(job, grace)
        else:
            job = ModelJob(request_id, task, "scheduled" if grace else "queued", waits=grace)
            self.jobs[request_id] = job
            self.found_by_task[task] = job
        job.total += added
        self.requests[request_id] = (job, added)
        if task.deletes:
            self._take(job)
        self.end_if_nothing_to_do(job, added, grace)
        return job

    def _join(self, job: ModelJob, grace: bool) -> None:
        stopped = job.state in ("cancelled", "failed")
        # A stopped job waits for the grace of this request; otherwise the earlier begin counts.
        job.waits = grace if stopped else job.waits and grace
        if stopped:
            job.state = "scheduled" if job.waits and not job.begun else "queued"

    def _take(self, job: ModelJob) -> None:
        job.cutoff = self.tick()
        for partition in range(self.limits.partitions):
            taken = [
                each for each in self.owned(job.task.kind, job.task.target) if each.partition == partition
            ]
            job.revoked_sets.setdefault(partition, []).append(taken)
            for session in taken:
                session.revoked[job.task.kind] = job

    def end_if_nothing_to_do(self, job: ModelJob, added: int, grace: bool) -> None:
        if added == 0 and not grace and job.total == 0 and job.goes_on:
            self.finish(job)

    def begin(self, job: ModelJob) -> bool:
        """Begin a slice. Return True if the job may be worked on now."""
        worked = job.can_begin
        if worked and job.state != "undoing":
            job.state, job.begun = "running", True
        return worked

    def reclaim(self, job: ModelJob, count: int) -> None:
        for session in job.held()[:count]:
            job.removed += 1
            job.checkpoints += len(session.checkpoints)
            self.end(session)

    def restore(self, job: ModelJob, count: int) -> None:
        for session in job.held()[:count]:
            job.restored += 1
            del session.revoked[job.task.kind]

    def finish(self, job: ModelJob) -> None:
        undone = job.state == "undoing"
        job.state = "undone" if undone else "done"
        if self.found_by_task.get(job.task) is job:
            del self.found_by_task[job.task]
        if job.task.deletes and not undone:
            self.prove(job)

    def prove(self, job: ModelJob) -> None:
        kind, target = job.task.kind, job.task.target
        of_target = (each for each in self.existing() if each.is_of(kind, target))
        assert not any(each.since[kind] <= job.cutoff for each in of_target)
        self.proofs.append(Proof(job.removed, job.checkpoints, residue=0))

    def delete_now(self, task: Task) -> int:
        """Delete directly, beside any job, and return the number of removed sessions."""
        job = ModelJob("", task, "running")
        self._take(job)
        self._take_over(job)
        self.reclaim(job, len(job.held()))
        self.prove(job)
        return job.removed

    def _take_over(self, job: ModelJob) -> None:
        """Give a new deletion what earlier ones have revoked. Those at work count it themselves."""
        task = job.task
        found = self.found_by_task.get(task)
        if found is not None:
            found.begun = True  # so that it cannot be undone
            if not found.goes_on:
                del self.found_by_task[task]
        for session in self.existing():
            earlier = session.revoked.get(task.kind)
            if earlier in (None, job) or not session.is_of(task.kind, task.target):
                continue
            assert earlier is not None
            at_home = task.kind == "user" or session.partition == 0
            if earlier.goes_on and at_home:
                earlier.removed += 1
                earlier.checkpoints += len(session.checkpoints)
                self.end(session)
            else:
                session.revoked[task.kind] = job
                job.revoked_sets.setdefault(session.partition, []).append([session])

    def prune_now(self, task: Task, older: datetime) -> int:
        removed = 0
        for session, due in self.pruned(task, older):
            removed += len(due)
            self.remove(session, due)
        return removed

    def control(self, job: ModelJob, action: str) -> bool:
        """Apply the action if the job's state allows it. Return True if it does."""
        met = {
            "pause": ("paused",),
            "resume": ("scheduled", "queued", "running"),
            "cancel": ("cancelled",),
            "undo": ("undoing", "undone"),
        }
        allowed = {
            "pause": ("scheduled", "queued", "running"),
            "resume": ("paused", "cancelled", "failed"),
            "cancel": ("scheduled", "queued", "running", "paused"),
            "undo": ("scheduled", "queued", "paused", "cancelled", "failed"),
        }
        if job.state in met[action]:
            return True
        if job.state not in allowed[action] or (action == "undo" and job.begun):
            return False
        if action in ("pause", "cancel"):
            job.state = "paused" if action == "pause" else "cancelled"
        elif action == "undo" or job.is_undo:
            job.state, job.is_undo = "undoing", True
            self.found_by_task[job.task] = job
        else:
            job.state = "scheduled" if job.waits and not job.begun else "queued"
        return True

    def fail(self, job: ModelJob) -> bool:
        """Count a refused batch too many. Return True if the job was at work, and so has failed."""
        if job.goes_on:
            job.state = "failed"
        return job.state == "failed"
