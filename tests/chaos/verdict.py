"""Differences between what is true and what callers were told: one line for each difference.

Counts are exact if the journals determine them. Each creation or save of unknown outcome allows one more, and
the lines say so.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

from agent_runtime.manager.jobs import JobKind, JobProgress, JobSpec, JobState
from tests.chaos.expected import Expected, ExpectedJob, ExpectedSession
from tests.chaos.found import Found, FoundSession


def violations(expected: Expected, found: Found) -> list[str]:
    """Return every promise that was broken. An empty list is the proof."""
    return [
        *expected.lies,
        *_sessions(expected, found),
        *_strays(expected, found),
        *_jobs(expected, found),
        *_removals(expected, found),
        *_sweeps(expected, found),
        *_receipts(found),
        *found.leftovers,
    ]


def _sessions(expected: Expected, found: Found) -> Iterator[str]:
    for session in expected.sessions.values():
        there = found.sessions.get(session.session_id)
        if there is None:
            if session.readable:
                yield f"lost: session {session.session_id} of {session.user_id}, which nobody deleted"
        elif session.deleted or session.revoked_by:
            by = [*session.revoked_by.values()] or "its id"
            yield f"readable: session {session.session_id}, which was deleted by {by}"
        elif session.expires:
            yield f"readable: session {session.session_id}, which has run out"
        else:
            yield from _contents(session, there)


def _contents(session: ExpectedSession, there: FoundSession) -> Iterator[str]:
    name = session.session_id
    if there.metadata != session.metadata:
        yield f"session {name} has the metadata {there.metadata}, not {session.metadata}"
    kept = session.kept_checkpoints
    unknown = there.checkpoints.keys() - session.checkpoints.keys()
    if unknown and session.pruned_by:  # the newest checkpoint may be one that nobody knows of
        kept = session.pins
    for checkpoint_id in sorted(kept - there.checkpoints.keys()):
        yield f"lost: checkpoint {checkpoint_id} of session {name}"
    for checkpoint_id, data in there.checkpoints.items():
        if checkpoint_id in session.checkpoints and data != session.checkpoints[checkpoint_id]:
            yield f"checkpoint {checkpoint_id} of session {name} holds other data than was saved"
    if left := sorted((there.checkpoints.keys() & session.checkpoints.keys()) - session.kept_checkpoints):
        yield f"readable: checkpoints {left} of session {name}, which were pruned"
    if len(unknown) > session.unknown_saves:
        more = len(unknown) - session.unknown_saves
        yield f"session {name} has {more} checkpoints that nobody saved"


def _strays(expected: Expected, found: Found) -> Iterator[str]:
    """Yield sessions that no caller was told of, beyond the number of creations of unknown outcome."""
    strays = Counter(
        session.user_id for name, session in found.sessions.items() if name not in expected.sessions
    )
    for user_id, count in strays.items():
        if count > (most := expected.unknown_creates[user_id]):
            yield f"ghost: {user_id} has {count} sessions more than the {most} unknown creations"
    if found.count != len(found.sessions):
        yield f"the store counts {found.count} live sessions, and {len(found.sessions)} can be read"


def _jobs(expected: Expected, found: Found) -> Iterator[str]:
    for job in expected.jobs.values():
        if job.job_id not in found.jobs:
            yield f"lost: job {job.job_id}, about which a caller was told"
    for progress in found.jobs.values():
        known = expected.jobs.get(progress.job_id)
        end = JobState.UNDONE if known and known.undone else JobState.DONE
        if progress.state is not end:
            yield f"job {progress.job_id} ({progress.kind} {progress.target}) is {progress.state}, not {end}"


def _removals(expected: Expected, found: Found) -> Iterator[str]:
    """Check the count of each group of deletions that share sessions, and of each pruning."""
    for group in _groups(expected):
        jobs = [found.jobs[job.job_id] for job in group if job.job_id in found.jobs]
        sessions = set().union(*(job.sessions for job in group))
        unknown = sum(expected.unknown_creates[target] for target in {job.target for job in group})
        yield from _count(jobs, len(sessions), unknown, "sessions", undone=any(job.undone for job in group))
        for job in group:
            alone = sum(len(expected.sessions[name].revoked_by) == 1 for name in job.sessions)
            progress = found.jobs.get(job.job_id)
            if progress and not job.undone and progress.removed < alone:
                yield f"job {job.job_id} counts {progress.removed} sessions; {alone} were its alone"
    for job in expected.jobs.values():
        if job.what == "prune" and job.job_id in found.jobs:
            pruned = [expected.sessions[name] for name in job.sessions]
            known = sum(len(each.checkpoints) - len(each.kept_checkpoints) for each in pruned)
            unknown = sum(each.unknown_saves for each in pruned)
            # Sessions of an unknown creation have no checkpoints.
            yield from _count([found.jobs[job.job_id]], known, unknown, "checkpoints")


def _groups(expected: Expected) -> list[list[ExpectedJob]]:
    """Return deletions in groups: those that share sessions are together."""
    group_of: dict[str, list[ExpectedJob]] = {
        job.job_id: [job] for job in expected.jobs.values() if job.what in ("user", "agent")
    }
    for session in expected.sessions.values():
        first, *others = [*session.revoked_by.values()] or [None]
        for other in others:
            if first and group_of[first] is not group_of[other]:
                group_of[first].extend(group_of[other])
                for job in group_of[other]:
                    group_of[job.job_id] = group_of[first]
    return list({id(group): group for group in group_of.values()}.values())


def _count(
    jobs: list[JobProgress], known: int, unknown: int, what: str, *, undone: bool = False
) -> Iterator[str]:
    """Check that the jobs together removed (or brought back) so many. Each unknown call allows one more."""
    counted = sum(job.restored if undone else job.removed for job in jobs)
    if not known <= counted <= known + unknown:
        names = ", ".join(job.job_id for job in jobs)
        must = f"{known}" if not unknown else f"{known} to {known + unknown} ({unknown} calls are unknown)"
        yield f"count: {names} did {counted} {what}, must be {must}"
    if undone and any(job.removed for job in jobs):
        yield f"count: {jobs[0].job_id} was undone and has removed {jobs[0].removed}"


def _sweeps(expected: Expected, found: Found) -> Iterator[str]:
    """Check that each session that expired is counted once, whoever swept."""
    ran_out = sum(session.expires for session in expected.sessions.values())
    swept = sum(job.removed for job in found.jobs.values() if job.kind is JobKind.SWEEP)
    if ran_out != swept:
        yield f"count: all sweeps together counted {swept} sessions, and {ran_out} ran out"


def _receipts(found: Found) -> Iterator[str]:
    yield from found.chain
    of_job = defaultdict(list)
    for receipt in found.receipts:
        of_job[receipt.job_id].append(receipt)
        if receipt.residue.sessions:
            yield f"receipt {receipt.number} has a residue of {receipt.residue.sessions} sessions"
    for job in found.jobs.values():
        due = int(JobSpec.of(job.kind).deletes and job.state is JobState.DONE)
        receipts = of_job.pop(job.job_id, [])
        if len(receipts) != due:
            yield f"job {job.job_id} ({job.state}) has {len(receipts)} receipts in the chain, not {due}"
        for receipt in receipts:
            if receipt.sessions != job.removed:
                yield f"receipt {receipt.number} says {receipt.sessions} sessions, its job {job.removed}"
    for job_id in of_job:
        yield f"there is a receipt of job {job_id}, which nobody knows"
