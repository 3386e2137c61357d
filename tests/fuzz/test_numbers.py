"""Times and counts over their whole range: an accepted value means exactly what it says.

Any other value is refused before anything is written.
"""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
import redis
from hypothesis import strategies as st

from agent_runtime.manager import InvalidArgumentError, SessionManager
from tests.fuzz import corpus, made
from tests.fuzz.inputs import fuzz
from tests.support.jobs import make_due
from tests.support.keyspace import snapshot
from tests.support.leftovers import remove_namespace
from tests.support.sessions import save_turns, turns

_LONGEST_SECONDS, _LARGEST_COUNT = 100_000_000_000, 2**63 - 1
_MOMENT = timedelta(milliseconds=1)

#: Numbers, most of them some seconds or a count, and anything that somebody might pass instead.
_NUMBERS = st.one_of(
    st.floats(1e-6, 1e11),
    st.floats(),
    st.integers(0, 10),
    made.integers,
    st.timedeltas(),
    st.fractions(),
    st.sampled_from(corpus.NUMBERS),
    made.anything,
)

_ZONES = st.one_of(
    st.just(UTC),
    st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(timezone),
    st.timezones(),
)


@fuzz(500, corpus=[{"ttl": number} for number in corpus.NUMBERS], ttl=_NUMBERS)
async def test_a_session_lives_for_its_time_to_live(
    open_manager: Callable[..., SessionManager], raw: redis.Redis, namespace: str, ttl: Any
) -> None:
    if not _is_seconds(ttl) or ttl == 0:
        with pytest.raises(InvalidArgumentError, match=r"^ttl "):
            open_manager(ttl=ttl)
        return
    async with open_manager(ttl=ttl) as manager:
        session = await manager.create_session("ann", "bot")
    lived = session.expires_at - session.created_at
    assert abs(lived - _rounded(ttl)) <= _MOMENT
    remove_namespace(raw, namespace)


@fuzz(
    600,
    corpus=[{"moment": moment} for moment in corpus.MOMENTS],
    moment=st.datetimes(timezones=_ZONES) | st.datetimes() | made.anything,
)
async def test_a_session_ends_at_the_moment_given(
    manager: SessionManager, raw: redis.Redis, namespace: str, moment: Any
) -> None:
    remove_namespace(raw, namespace)
    session = await manager.create_session("ann", "bot")
    before = snapshot(raw, namespace)
    try:
        assert await manager.update_session(session.session_id, expires_at=moment) is True
    except InvalidArgumentError:
        assert not _is_to_come(moment)
        assert snapshot(raw, namespace) == before
        return
    assert _is_to_come(moment)
    found = await manager.get_session(session.session_id)
    assert found is not None
    assert timedelta(0) <= moment - found.expires_at < _MOMENT
    assert await manager.get_active_session_count("ann") == 1


@fuzz(
    500,
    corpus=[{"keep_last": number, "older_than": number} for number in corpus.NUMBERS],
    keep_last=st.none() | _NUMBERS,
    older_than=st.none() | _NUMBERS,
)
async def test_a_pruning_keeps_what_its_limits_say(
    manager: SessionManager, raw: redis.Redis, namespace: str, keep_last: Any, older_than: Any
) -> None:
    remove_namespace(raw, namespace)
    session = await manager.create_session("ann", "bot")
    await save_turns(manager, session.session_id, 3)
    before = snapshot(raw, namespace)
    age = older_than.total_seconds() if isinstance(older_than, timedelta) else older_than
    is_count = keep_last is None or _is_count(keep_last)
    is_age = age is None or (_is_seconds(age) and age > 0)
    if not (is_count and is_age) or keep_last is None is age:
        with pytest.raises(InvalidArgumentError, match=r"keep_last|older_than"):
            await manager.prune_checkpoints(keep_last=keep_last, older_than=older_than)
        assert snapshot(raw, namespace) == before
        return
    removed = await manager.prune_checkpoints(keep_last=keep_last, older_than=older_than)
    left = await turns(manager, session.session_id)
    assert left == [0, 1, 2][removed:]
    if age is None or age >= 60:
        assert len(left) == (3 if keep_last is None else min(3, max(1, keep_last)))


@fuzz(
    500,
    corpus=[{"grace": number, "max_affected": None} for number in corpus.NUMBERS]
    + [{"grace": None, "max_affected": number} for number in corpus.NUMBERS],
    grace=st.none() | _NUMBERS,
    max_affected=st.none() | _NUMBERS,
)
async def test_a_deletion_waits_for_its_grace_and_takes_no_more_than_allowed(
    manager: SessionManager, raw: redis.Redis, namespace: str, grace: Any, max_affected: Any
) -> None:
    remove_namespace(raw, namespace)
    await manager.create_session("ann", "bot")
    before = snapshot(raw, namespace)
    seconds = grace.total_seconds() if isinstance(grace, timedelta) else grace
    is_fine = (grace is None or _is_seconds(seconds)) and (max_affected is None or _is_count(max_affected))
    if not is_fine or max_affected == 0:
        with pytest.raises(ValueError, match=r"grace|max_affected") as caught:
            await manager.revoke_user_sessions("ann", grace=grace, max_affected=max_affected)
        assert isinstance(caught.value, InvalidArgumentError) != is_fine
        assert snapshot(raw, namespace) == before
        return
    job_id = await manager.revoke_user_sessions("ann", grace=grace, max_affected=max_affected)
    job = await manager.jobs.progress(job_id)
    assert abs((job.due_at or job.requested_at) - job.requested_at - _rounded(seconds or 0)) <= _MOMENT
    await make_due(manager, raw, job_id)
    assert (await manager.jobs.run(job_id)).removed == 1


@pytest.mark.parametrize("number", corpus.HUGE, ids=range(len(corpus.HUGE)))
async def test_numbers_of_too_many_digits_are_refused(
    open_manager: Callable[..., SessionManager], raw: redis.Redis, namespace: str, number: int
) -> None:
    manager = open_manager()
    for name in ("ttl", "max_sessions"):
        with pytest.raises(InvalidArgumentError, match=f"^{name} "):
            open_manager(**{name: number})
    for name in ("keep_last", "older_than"):
        with pytest.raises(InvalidArgumentError, match=f"^{name} "):
            await manager.prune_checkpoints(**{name: number})
    for name in ("grace", "max_affected"):
        with pytest.raises(InvalidArgumentError, match=f"^{name} "):
            await manager.revoke_user_sessions("ann", **{name: number})
    with pytest.raises(InvalidArgumentError, match=r"^limit "):
        await manager.jobs.list(limit=number)
    assert snapshot(raw, namespace) == {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= _LONGEST_SECONDS


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT


def _rounded(seconds: float) -> timedelta:
    """Return the seconds in whole milliseconds, without the limits of floats."""
    return timedelta(milliseconds=math.floor(Fraction(seconds) * 1000))


def _is_to_come(moment: Any) -> bool:
    """Return True if the value is a time in the future and in the calendar. (None is made up within this
    hour.)"""
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        return False
    start = datetime(1970, 1, 1)  # noqa: DTZ001
    since_start = moment.replace(tzinfo=None) - start - moment.utcoffset()
    now = datetime.now(UTC).replace(tzinfo=None) - start
    return now < since_start <= datetime.max - start  # noqa: DTZ901
