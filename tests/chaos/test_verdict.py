"""The verdict of `make chaos` sees every kind of lie: each test plants one into journals that agree."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from agent_runtime.manager.jobs import JobKind, JobProgress, JobState, Receipt
from agent_runtime.manager.models.jobs import Residue
from tests.chaos.expected import replay
from tests.chaos.found import Found, FoundSession
from tests.chaos.journal import Entry
from tests.chaos.verdict import violations

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _entry(call: str, told: Any, outcome: str = "answered", **asked: Any) -> Entry:
    return Entry(0.0, "r", call, outcome, told, asked)


def _create(name: str | None, user: str = "u0", agent: str = "a0", outcome: str = "answered") -> Entry:
    return _entry("create", name, outcome, user_id=user, agent_id=agent, metadata={"n": 0})


def _receipt(job_id: str, sessions: int, number: int, residue: int = 0) -> Receipt:
    moments = dict.fromkeys(("requested_at", "cutoff_at", "started_at", "finished_at"), _NOW)
    return Receipt(
        number=number,
        job_id=job_id,
        kind=JobKind.DELETE_USER,
        target="hash",
        **moments,
        sessions=sessions,
        checkpoints=0,
        index_entries=0,
        seconds_waited=0,
        seconds_worked=0,
        residue=Residue(scope="index", sessions=residue),
        previous="",
        hash="",
    )


def _job(
    job_id: str, kind: JobKind, removed: int, state: JobState = JobState.DONE, restored: int = 0
) -> JobProgress:
    return JobProgress(
        job_id=job_id,
        kind=kind,
        target="x",
        state=state,
        total=removed,
        done=removed,
        removed=removed,
        restored=restored,
        requested_at=_NOW,
        heartbeat_at=_NOW,
    )


def _journal() -> list[Entry]:
    """Return journals whose sessions are named after what becomes of them."""
    return [
        _create("kept"),
        _entry("merge", True, session_id="kept", patch={"n": 1}),
        _entry("save", "c1", session_id="kept", data={"turn": 1}),
        _entry("save", "c2", session_id="kept", data={"turn": 2}),
        _entry("read", {"n": 1}, session_id="kept"),
        _create("pruned", agent="a1"),
        *(_entry("save", name, session_id="pruned", data={}) for name in ("p1", "p2", "p3")),
        _entry("pin", True, session_id="pruned", checkpoint_id="p1"),
        _entry("prune", "job_prune", agent_id="a1"),
        _create("dropped"),
        _entry("delete", True, session_id="dropped"),
        _create("gone", "u1"),
        _create("gone2", "u1"),
        _entry("revoke", "job_user", what="user", target="u1", key="k1"),
        _entry("read", None, session_id="gone"),
        _create("reborn", "u1"),
        _entry("revoke", "job_user", what="user", target="u1", key="k1"),
        _create("back", "u2", "a2"),
        _entry("revoke", "job_undone", what="agent", target="a2", key="k2"),
        _entry("undo", "undone", job_id="job_undone"),
        _create("out", "u3"),
        _entry("expire", True, session_id="out"),
    ]


def _client() -> Found:
    """Return the state that such journals leave."""
    sessions = [
        FoundSession("kept", "u0", "a0", {"n": 1}, {"c1": {"turn": 1}, "c2": {"turn": 2}}),
        FoundSession("pruned", "u0", "a1", {"n": 0}, {"p1": {}, "p3": {}}),
        FoundSession("reborn", "u1", "a0", {"n": 0}),
        FoundSession("back", "u2", "a2", {"n": 0}),
    ]
    jobs = [
        _job("job_prune", JobKind.PRUNE, 1),
        _job("job_user", JobKind.DELETE_USER, 2),
        _job("job_undone", JobKind.DELETE_AGENT, 0, JobState.UNDONE, restored=1),
        _job("job_sweep", JobKind.SWEEP, 1),
    ]
    return Found(
        sessions={session.session_id: session for session in sessions},
        jobs={job.job_id: job for job in jobs},
        receipts=[_receipt("job_user", 2, number=1)],
        count=len(sessions),
    )


def _verdict(entries: list[Entry], found: Found) -> list[str]:
    return violations(replay(entries), found)


def _lose_session(entries: list[Entry], found: Found) -> None:
    del found.sessions["kept"]
    found.count -= 1


def _lose_checkpoint(entries: list[Entry], found: Found) -> None:
    del found.sessions["kept"].checkpoints["c1"]


def _lose_pinned_checkpoint(entries: list[Entry], found: Found) -> None:
    del found.sessions["pruned"].checkpoints["p1"]


def _change_checkpoint(entries: list[Entry], found: Found) -> None:
    found.sessions["kept"].checkpoints["c1"] = {"turn": 7}


def _change_metadata(entries: list[Entry], found: Found) -> None:
    found.sessions["kept"].metadata["n"] = 0


def _bring_back(name: str, user_id: str) -> Callable[[list[Entry], Found], None]:
    def bring_back(entries: list[Entry], found: Found) -> None:
        found.sessions[name] = FoundSession(name, user_id, "a0", {"n": 0})
        found.count += 1

    return bring_back


def _bring_back_checkpoint(entries: list[Entry], found: Found) -> None:
    found.sessions["pruned"].checkpoints["p2"] = {}


def _count(job_id: str, removed: int) -> Callable[[list[Entry], Found], None]:
    def count(entries: list[Entry], found: Found) -> None:
        found.jobs[job_id].removed = removed

    return count


def _leave_open(entries: list[Entry], found: Found) -> None:
    found.jobs["job_user"].state = JobState.RUNNING


def _lose_job(entries: list[Entry], found: Found) -> None:
    del found.jobs["job_user"]


def _undo_too_little(entries: list[Entry], found: Found) -> None:
    found.jobs["job_undone"].restored = 0


def _issue_again(entries: list[Entry], found: Found) -> None:
    found.receipts.append(_receipt("job_user", 2, number=2))


def _issue_for_undone(entries: list[Entry], found: Found) -> None:
    found.receipts.append(_receipt("job_undone", 0, number=2))


def _leave_residue(entries: list[Entry], found: Found) -> None:
    found.receipts = [_receipt("job_user", 2, number=1, residue=1)]


def _break_chain(entries: list[Entry], found: Found) -> None:
    found.chain.append("receipt 1 was altered")


def _leave_ghost(entries: list[Entry], found: Found) -> None:
    found.leftovers.append("ghost: u0 lists a session that is gone")


def _miscount(entries: list[Entry], found: Found) -> None:
    found.count += 1


def _say(entry: Entry) -> Callable[[list[Entry], Found], None]:
    return lambda entries, found: entries.append(entry)


#: Lie -> words of the verdict about it.
LIES: dict[str, tuple[Callable[[list[Entry], Found], None], str]] = {
    "a session is lost": (_lose_session, "lost: session kept"),
    "a checkpoint is lost": (_lose_checkpoint, "lost: checkpoint c1"),
    "a pinned checkpoint is lost": (_lose_pinned_checkpoint, "lost: checkpoint p1"),
    "a checkpoint holds something else": (_change_checkpoint, "other data"),
    "a merge is lost": (_change_metadata, "metadata"),
    "a session deleted by its id is there": (_bring_back("dropped", "u0"), "readable: session dropped"),
    "a session deleted with its user is there": (_bring_back("gone", "u1"), "readable: session gone"),
    "a session that ran out is there": (_bring_back("out", "u3"), "readable: session out"),
    "a session that nobody made is there": (_bring_back("stray", "u0"), "1 sessions more than the 0 unknown"),
    "a pruned checkpoint is there": (_bring_back_checkpoint, "readable: checkpoints ['p2']"),
    "a session is counted twice": (_count("job_user", 3), "did 3 sessions, must be 2"),
    "a session is not counted": (_count("job_user", 1), "did 1 sessions, must be 2"),
    "a checkpoint is counted twice": (_count("job_prune", 2), "did 2 checkpoints, must be 1"),
    "a sweep counts twice": (_count("job_sweep", 2), "counted 2 sessions, and 1 ran out"),
    "an undone job has removed": (_count("job_undone", 1), "was undone and has removed 1"),
    "an undo left one out": (_undo_too_little, "did 0 sessions, must be 1"),
    "a job is open": (_leave_open, "is running, not done"),
    "a job is lost": (_lose_job, "lost: job job_user"),
    "a job has two receipts": (_issue_again, "has 2 receipts"),
    "an undone job has a receipt": (_issue_for_undone, "has 1 receipts in the chain, not 0"),
    "a receipt has a residue": (_leave_residue, "residue of 1"),
    "the chain is broken": (_break_chain, "was altered"),
    "an index has a ghost": (_leave_ghost, "ghost"),
    "the count is wrong": (_miscount, "counts 5 live sessions, and 4"),
    "a deleted session was read": (
        _say(_entry("read", {"n": 0}, session_id="gone")),
        "read after its deletion",
    ),
    "a live session was read as gone": (_say(_entry("read", None, session_id="kept")), "read as gone"),
    "an old value was read": (_say(_entry("read", {"n": 0}, session_id="kept")), "was read as {'n': 0}"),
    "a live session is refused": (_say(_entry("refresh", False, session_id="kept")), "is not live"),
    "a user's count is wrong": (_say(_entry("count", 3, user_id="u0")), "3 sessions of u0 were counted"),
    "a call failed": (_say(_entry("refresh", "KeyError()", "failed", session_id="kept")), "KeyError()"),
    "a repeated request is another job": (
        _say(_entry("revoke", "job_other", what="user", target="u1", key="k1")),
        "became another job",
    ),
}


def test_where_all_agree_there_is_no_violation() -> None:
    assert _verdict(_journal(), _client()) == []


@pytest.mark.parametrize("lie", LIES)
def test_the_verdict_sees_when(lie: str) -> None:
    entries, found = _journal(), _client()
    spoil, said = LIES[lie]
    spoil(entries, found)
    assert any(said in line for line in _verdict(entries, found)), _verdict(entries, found)


def test_what_is_unknown_may_be_there_or_not() -> None:
    entries, found = _journal(), _client()
    entries.insert(0, _create(None, "u1", outcome="unknown"))
    entries.append(_entry("save", None, "unknown", session_id="kept", data={}))
    assert _verdict(entries, found) == []
    found.jobs["job_user"].removed, found.receipts = 3, [_receipt("job_user", 3, number=1)]
    found.sessions["kept"].checkpoints["c?"] = {}
    assert _verdict(entries, found) == []
    found.jobs["job_user"].removed, found.receipts = 4, [_receipt("job_user", 4, number=1)]
    found.sessions["kept"].checkpoints["c??"] = {}
    assert len(_verdict(entries, found)) == 2


def test_deletions_that_overlap_share_the_count() -> None:
    entries = [
        _create("both"),
        _create("only user", agent="a1"),
        _create("only agent", "u1"),
        _entry("revoke", "job_u", what="user", target="u0", key="k1"),
        _entry("revoke", "job_a", what="agent", target="a0", key="k2"),
    ]

    def verdict(by_user: int, by_agent: int) -> list[str]:
        jobs = [_job("job_u", JobKind.DELETE_USER, by_user), _job("job_a", JobKind.DELETE_AGENT, by_agent)]
        receipts = [_receipt("job_u", by_user, number=1), _receipt("job_a", by_agent, number=2)]
        return _verdict(entries, Found(jobs={job.job_id: job for job in jobs}, receipts=receipts))

    assert verdict(2, 1) == verdict(1, 2) == []
    assert verdict(2, 2)
    assert verdict(1, 1)
    assert verdict(3, 0)
