"""The state that must hold if callers were told the truth: the journals, replayed.

Sessions of one round were used in order by one caller, so only one state is possible for each session. Calls
of unknown outcome are the exception: they leave two possible states. These are creations and saves, because a
caller that repeats them makes another session or checkpoint. Every other call is repeated until there is an
answer.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.journal import Entry


@dataclass
class ExpectedSession:
    """A session that a caller was told exists."""

    session_id: str
    user_id: str
    agent_id: str
    metadata: dict[str, Any]
    #: Id -> data, oldest first.
    checkpoints: dict[str, Any] = field(default_factory=dict)
    pins: set[str] = field(default_factory=set)
    #: Saves that may or may not have been applied.
    unknown_saves: int = 0
    #: Ids of the deletions that have revoked the session, by target. If there are two, either may count it.
    revoked_by: dict[str, str] = field(default_factory=dict)
    deleted: bool = False
    expires: bool = False
    #: Id of the pruning that keeps the newest checkpoint and the pinned ones.
    pruned_by: str | None = None

    @property
    def readable(self) -> bool:
        """True if the session must be there. A session that expires must be there until it has."""
        return not (self.deleted or self.revoked_by or self.expires)

    @property
    def kept_checkpoints(self) -> set[str]:
        """Ids of the checkpoints that must be there, if every save was answered."""
        return set(self.checkpoints) if self.pruned_by is None else {*self.pins, *list(self.checkpoints)[-1:]}


@dataclass
class ExpectedJob:
    """A job that a caller was told of."""

    job_id: str
    #: `user` or `agent` for a deletion; `prune` or `sweep`.
    what: str
    target: str = ""
    #: Sessions that the job revoked.
    sessions: set[str] = field(default_factory=set)
    undone: bool = False


@dataclass
class Expected:
    """Everything that the journals say."""

    sessions: dict[str, ExpectedSession] = field(default_factory=dict)
    rounds: dict[str, list[ExpectedSession]] = field(default_factory=lambda: defaultdict(list))
    jobs: dict[str, ExpectedJob] = field(default_factory=dict)
    #: Creations of unknown outcome, by user and by agent.
    unknown_creates: Counter[str] = field(default_factory=Counter)
    #: Requests for deletions, by idempotency key or task id -> id of the job.
    requests: dict[str, str] = field(default_factory=dict)
    #: Calls, by name and outcome.
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Answers that cannot have been right when they were given.
    lies: list[str] = field(default_factory=list)


def replay(entries: Iterable[Entry]) -> Expected:
    """Combine the entries, each journal in its order."""
    expected = Expected()
    for entry in entries:
        expected.calls[entry.call, entry.outcome] += 1
        if entry.outcome == "failed":
            expected.lies.append(f"{entry.round}: {entry.call} {entry.asked} failed: {entry.told}")
        elif entry.outcome == "refused" and entry.call not in ("undo", "pause", "resume"):
            expected.lies.append(f"{entry.round}: {entry.call} {entry.asked} was refused: {entry.told}")
        elif entry.outcome == "answered" and entry.call in _ANSWERED:
            _ANSWERED[entry.call](expected, entry)
        elif entry.outcome == "unknown" and entry.call in _UNKNOWN:
            _UNKNOWN[entry.call](expected, entry)
    return expected


def _created(expected: Expected, entry: Entry) -> None:
    asked = entry.asked
    session = ExpectedSession(entry.told, asked["user_id"], asked["agent_id"], dict(asked["metadata"]))
    expected.sessions[entry.told] = session
    expected.rounds[entry.round].append(session)


def _maybe_created(expected: Expected, entry: Entry) -> None:
    if entry.asked.get("session_id"):
        return  # the call is repeated until there is an answer, and the session stays the same
    expected.unknown_creates.update({entry.asked["user_id"]: 1, entry.asked["agent_id"]: 1})


def _maybe_saved(expected: Expected, entry: Entry) -> None:
    if entry.asked.get("checkpoint_id"):
        return
    expected.sessions[entry.asked["session_id"]].unknown_saves += 1


def _maybe_expires(expected: Expected, entry: Entry) -> None:
    expected.sessions[entry.asked["session_id"]].expires = True


def _told_of_a_live_session(change: Callable[[ExpectedSession, Entry], None]) -> Any:
    """Wrap `change` for calls that answer whether the session was live. All sessions in question were."""

    def told(expected: Expected, entry: Entry) -> None:
        session = expected.sessions[entry.asked["session_id"]]
        if not entry.told and not session.expires:
            expected.lies.append(f"{entry.call} was told that live session {session.session_id} is not live")
        change(session, entry)

    return told


def _merged(session: ExpectedSession, entry: Entry) -> None:
    session.metadata |= entry.asked["patch"]


def _saved(session: ExpectedSession, entry: Entry) -> None:
    session.checkpoints[entry.told] = entry.asked["data"]


def _pinned(session: ExpectedSession, entry: Entry) -> None:
    session.pins.add(entry.asked["checkpoint_id"])


def _expiring(session: ExpectedSession, entry: Entry) -> None:
    session.expires = True


def _unchanged(session: ExpectedSession, entry: Entry) -> None:
    """Expect nothing of the session but the answer."""


def _deleted(expected: Expected, entry: Entry) -> None:
    session = expected.sessions[entry.asked["session_id"]]
    if not entry.told and not session.deleted:
        expected.lies.append(
            f"the deletion of live session {session.session_id} was told that it is not live"
        )
    session.deleted = True


def _maybe_deleted(expected: Expected, entry: Entry) -> None:
    expected.sessions[entry.asked["session_id"]].deleted = True


def _read(expected: Expected, entry: Entry) -> None:
    session = expected.sessions[entry.asked["session_id"]]
    if entry.told is None and session.readable:
        expected.lies.append(f"live session {session.session_id} was read as gone")
    elif entry.told is not None and (session.deleted or session.revoked_by):
        expected.lies.append(f"session {session.session_id} was read after its deletion was answered")
    elif entry.told is not None and entry.told != session.metadata:
        expected.lies.append(
            f"metadata of {session.session_id} was read as {entry.told}, not {session.metadata}"
        )


def _counted(expected: Expected, entry: Entry) -> None:
    user_id = entry.asked["user_id"]
    known = sum(each.readable for each in expected.rounds[entry.round] if each.user_id == user_id)
    most = known + expected.unknown_creates[user_id]
    if not known <= entry.told <= most:
        expected.lies.append(f"{entry.told} sessions of {user_id} were counted, not {known} to {most}")


def _revoked(expected: Expected, entry: Entry) -> None:
    _delete(expected, entry, entry.asked["what"], entry.asked["target"], entry.asked["key"])


def _found(expected: Expected, entry: Entry) -> None:
    if entry.told is not None:
        _delete(expected, entry, entry.asked["what"], entry.asked["target"], entry.told)


def _delete(expected: Expected, entry: Entry, what: str, target: str, request: str) -> None:
    job_id = entry.told
    if request in expected.requests:  # repeated: it must have changed nothing
        if expected.requests[request] != job_id:
            expected.lies.append(f"request {request} was repeated and became another job: {job_id}")
        return
    expected.requests[request] = job_id
    job = expected.jobs.setdefault(job_id, ExpectedJob(job_id, what, target))
    for session in expected.rounds[entry.round]:
        if session.deleted or session.expires or what in session.revoked_by:
            continue
        if target == (session.user_id if what == "user" else session.agent_id):
            session.revoked_by[what] = job_id
            job.sessions.add(session.session_id)


def _undone(expected: Expected, entry: Entry) -> None:
    job = expected.jobs[entry.asked["job_id"]]
    if entry.told != "undone":
        expected.lies.append(f"the undoing of {job.job_id} was answered, and it was {entry.told}")
    job.undone = True
    for session_id in job.sessions:
        del expected.sessions[session_id].revoked_by[job.what]


def _pruned(expected: Expected, entry: Entry) -> None:
    agent_id = entry.asked["agent_id"]
    job = expected.jobs.setdefault(entry.told, ExpectedJob(entry.told, "prune", agent_id))
    for session in expected.rounds[entry.round]:
        if session.agent_id == agent_id and session.readable:
            session.pruned_by = job.job_id
            job.sessions.add(session.session_id)


def _swept(expected: Expected, entry: Entry) -> None:
    expected.jobs.setdefault(entry.told, ExpectedJob(entry.told, "sweep"))


Change = Callable[[Expected, Entry], None]

_ANSWERED: dict[str, Change] = {
    "create": _created,
    "merge": _told_of_a_live_session(_merged),
    "save": _told_of_a_live_session(_saved),
    "pin": _told_of_a_live_session(_pinned),
    "refresh": _told_of_a_live_session(_unchanged),
    "expire": _told_of_a_live_session(_expiring),
    "delete": _deleted,
    "read": _read,
    "count": _counted,
    "revoke": _revoked,
    "look for": _found,
    "undo": _undone,
    "prune": _pruned,
    "sweep": _swept,
}

_UNKNOWN: dict[str, Change] = {
    "create": _maybe_created,
    "save": _maybe_saved,
    "expire": _maybe_expires,
    "delete": _maybe_deleted,
}
