"""Records of jobs: their contents, the time for which they are kept, and the list of jobs."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from agent_runtime.manager import InvalidArgumentError, SessionManager
from agent_runtime.manager.jobs import JobKind, JobNotFoundError, JobState, UserDeletion
from agent_runtime.manager.jobs.listing import JobFilter
from agent_runtime.manager.jobs.request import JobRequest
from tests.support.jobs import open_pruning, open_sweep
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire

Opener = Callable[..., SessionManager]

_HOUR, _WEEK = 3_600_000, 604_800_000


def _times_to_live(manager: SessionManager, raw: redis.Redis, job_id: str) -> list[int]:
    """Return the time to live of each part, milliseconds. The home part of an agent's job is the first."""
    found = [raw.pttl(keys.job(job_id)) for keys in manager._context.partitions.all]
    return [each for each in found if each != -2]


async def test_a_record_says_who_asked_when_and_why(manager: SessionManager) -> None:
    await create_sessions(manager, 3)
    job_id = await manager.revoke_user_sessions("ann", requested_by="dpo@example.org", reason="art. 17")
    await manager.revoke_user_sessions("ann", requested_by="somebody else", reason="as well")
    asked = await manager.jobs.progress(job_id)
    assert (asked.requested_by, asked.reason) == ("dpo@example.org", "art. 17")
    assert (asked.started_at, asked.finished_at, asked.rate_per_second) == (None, None, None)
    done = await manager.jobs.run(job_id)
    assert done.started_at is not None
    assert done.finished_at is not None
    assert asked.requested_at == done.requested_at <= done.started_at <= done.heartbeat_at
    assert done.heartbeat_at <= done.finished_at
    assert timedelta(0) <= datetime.now(UTC) - done.requested_at < timedelta(minutes=1)
    assert (done.requested_by, done.estimated_end_at) == ("dpo@example.org", None)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"requested_by": ""}, "requested_by must not be empty"),
        ({"reason": 7}, "reason must be a string, not int"),
        ({"reason": "x" * 1_001}, "reason is 1001 bytes long; the limit is 1000"),
        ({"idempotency_key": ""}, "idempotency_key must not be empty"),
        ({"job_id": "mine", "idempotency_key": "7"}, "give one of them"),
        ({"why": "x"}, "unknown option why; there are grace, idempotency_key"),
    ],
)
async def test_options_that_are_not_acceptable_change_nothing(
    manager: SessionManager, options: dict[str, Any], complaint: str
) -> None:
    await create_sessions(manager, 1)
    with pytest.raises(InvalidArgumentError, match=complaint):
        await manager.revoke_user_sessions("ann", **options)
    assert len(await manager.get_sessions_by_user("ann")) == 1


async def test_a_running_job_says_how_fast_it_is_and_when_it_will_end(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(slice_seconds=0.001, batch_target_ms=0.001)
    await create_sessions(manager, 150)
    job_id = await manager.revoke_user_sessions("ann")
    running = await manager.jobs.run_slice(job_id)
    home = (await manager.jobs.read(job_id)).home.keys
    heartbeat = int(raw.hget(home.job(job_id), "heartbeat"))
    raw.hset(home.job(job_id), "since", heartbeat - 10_000)
    running = await manager.jobs.progress(job_id)
    assert running.rate_per_second == running.done / 10
    left = (running.total - running.done) / running.rate_per_second
    ends = running.heartbeat_at + timedelta(seconds=left)
    assert running.estimated_end_at is not None
    assert abs(running.estimated_end_at - ends) < timedelta(milliseconds=1)

    # After a pause, the rate is that of the work since then.
    await manager.jobs.control(job_id, "pause")
    assert (await manager.jobs.progress(job_id)).estimated_end_at is None
    await manager.jobs.control(job_id, "resume")
    await manager.jobs.run_slice(job_id)
    assert int(raw.hget(home.job(job_id), "done_since")) == running.done
    await manager.jobs.run(job_id)


@pytest.mark.parametrize("partitions", [1, 4])
async def test_every_part_of_a_record_is_kept_for_its_time_after_the_end(
    open_manager: Opener, raw: redis.Redis, partitions: int
) -> None:
    manager = open_manager(partitions=partitions)
    for user in range(8):
        await create_sessions(manager, 2, f"user_{user}")
    job_id = await manager.revoke_agent_sessions("bot")
    for keys in manager._context.partitions.all:  # as after a long pause
        raw.pexpire(keys.job(job_id), _HOUR)
    await manager.jobs.run(job_id)
    home, *others = _times_to_live(manager, raw, job_id)
    assert len(others) == partitions - 1
    assert _WEEK - 60_000 < home <= _WEEK
    assert all(home - 1_000 <= each <= _WEEK + 60_000 for each in others)


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("end", ["cancelled", "failed", "paused"])
async def test_a_record_is_kept_for_its_time_after_a_job_was_stopped(
    open_manager: Opener, raw: redis.Redis, end: str, partitions: int
) -> None:
    """All of it, or a pruning that goes on would leave out what lies in the parts that went before."""
    manager = open_manager(partitions=partitions, max_attempts=1)
    await create_sessions(manager, 1)
    job_id = await open_pruning(manager, keep_last=1)
    for keys in manager._context.partitions.all:  # as after a long pause
        raw.pexpire(keys.job(job_id), _HOUR)
    raw.pexpire(manager._context.partitions.home.history, _HOUR)
    if end == "failed":
        run = await manager.jobs._runner._begin(job_id, 0, None)
        assert run is not None
        await manager.jobs._runner._fail(run, "refused")
    else:
        await manager.jobs.control(job_id, {"cancelled": "cancel", "paused": "pause"}[end])
    assert (await manager.jobs.progress(job_id)).state == end
    kept = [*_times_to_live(manager, raw, job_id), raw.pttl(manager._context.partitions.home.history)]
    assert len(kept) == partitions + 1
    assert all(_WEEK - 60_000 < each <= _WEEK for each in kept)


async def test_a_job_is_listed_as_long_as_its_record_is_kept(
    manager: SessionManager, raw: redis.Redis
) -> None:
    await create_sessions(manager, 1)
    job_id = await manager.revoke_user_sessions("ann")
    home = manager._context.partitions.home
    for key in (home.job(job_id), home.history):  # as after a long pause
        raw.pexpire(key, _HOUR)
    await manager.jobs.run(job_id)
    assert raw.pttl(home.history) >= raw.pttl(home.job(job_id)) > _HOUR


@pytest.mark.parametrize("kind", ["sweep", "pruning"])
@pytest.mark.parametrize("partitions", [1, 4])
async def test_what_had_nothing_to_do_is_kept_for_an_hour(
    open_manager: Opener, raw: redis.Redis, partitions: int, kind: str
) -> None:
    """With a sweep a minute, the history would be full of such jobs."""
    manager = open_manager(partitions=partitions)
    job_id = await (open_sweep(manager) if kind == "sweep" else open_pruning(manager, keep_last=1))
    kept = _times_to_live(manager, raw, job_id)
    assert len(kept) == partitions
    assert all(_HOUR - 60_000 < each <= _HOUR + 60_000 for each in kept)


async def test_a_grace_is_no_part_of_the_time_a_record_is_kept(
    manager: SessionManager, raw: redis.Redis
) -> None:
    await create_sessions(manager, 1)
    job_id = await manager.revoke_user_sessions("ann", grace=timedelta(days=365))
    assert _times_to_live(manager, raw, job_id)[0] > 365 * 86_400_000
    await manager.jobs.control(job_id, "undo")
    await manager.jobs.run(job_id)
    assert _times_to_live(manager, raw, job_id)[0] <= _WEEK


async def _open_nine(manager: SessionManager) -> list[str]:
    """Jobs with their homes in three partitions, in the order in which they were asked for."""
    users: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for letter in "abcdefghijklmnopqrstuvwxyz":
        users[manager._context.partitions.of_user(letter).number].append(letter)
    opened = []
    for number in range(9):
        user = users[number % 3][number // 3]
        await create_sessions(manager, 1, user)
        opened.append(await manager.revoke_user_sessions(user))
        await asyncio.sleep(0.002)  # the list is in order of milliseconds
    return opened


async def _pages(manager: SessionManager, limit: int, chosen: JobFilter | None = None) -> list[list[str]]:
    pages, cursor = [], None
    while True:
        page = await manager.jobs.list(chosen, limit=limit, cursor=cursor)
        pages.append([job.job_id for job in page.jobs])
        cursor = page.cursor
        if cursor is None:
            return pages


async def test_jobs_are_listed_newest_first_page_by_page(open_manager: Opener) -> None:
    manager = open_manager(partitions=3)
    opened = await _open_nine(manager)
    newest_first = opened[::-1]
    for limit in (1, 2, 4, 9, 100):
        pages = await _pages(manager, limit)
        assert [job_id for page in pages for job_id in page] == newest_first
        assert all(len(page) == limit for page in pages[:-1])
    await asyncio.gather(*(manager.jobs.run(job_id) for job_id in opened))


async def test_jobs_of_one_millisecond_are_listed_once_each(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(partitions=3)
    opened = await _open_nine(manager)
    for keys in manager._context.partitions.all:
        for job_id in raw.zrange(keys.history, 0, -1):
            raw.zadd(keys.history, {job_id: 1_700_000_000_000})
    for limit in (1, 2, 4, 9):
        found = [job_id for page in await _pages(manager, limit) for job_id in page]
        assert found == sorted(opened, reverse=True)
    await asyncio.gather(*(manager.jobs.run(job_id) for job_id in opened))


@pytest.fixture
def english_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """A server that compares texts as dictionaries do."""
    if not shutil.which("localedef"):
        pytest.skip("localedef is not on the PATH")
    make = ["localedef", "-i", "en_US", "-f", "UTF-8", str(tmp_path / "en_US.UTF-8")]
    if subprocess.run(make, capture_output=True, check=False).returncode:
        pytest.skip("the sources of locales are not installed")
    monkeypatch.setenv("LOCPATH", str(tmp_path))
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    with RedisServer() as running:
        yield running


async def test_the_list_is_in_the_same_order_whatever_the_locale_of_the_server(
    open_manager: Opener, english_server: RedisServer
) -> None:
    """Lua compares texts by the locale, and sorted sets do not: pages came again and again for ever."""
    with english_server.client() as raw:
        manager = open_manager(redis_url=english_server.url(), partitions=2)
        users = {manager._context.partitions.of_user(letter).number: letter for letter in "abcdefghij"}
        jobs = ["job_a", "job_B", "job_c", "job_D"]
        for number, job_id in enumerate(jobs):
            keys = manager._context.partitions.of_user(users[number // 2])
            await manager.revoke_user_sessions(users[number // 2], job_id)
            raw.zadd(keys.history, {job_id: 1_700_000_000_000})
        pages, cursor = [], None
        for _ in jobs:
            page = await manager.jobs.list(limit=1, cursor=cursor)
            pages += [job.job_id for job in page.jobs]
            cursor = page.cursor
        assert pages == sorted(jobs, reverse=True)
        await manager.aclose()


async def test_a_page_goes_on_where_its_last_job_is_forgotten(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(partitions=3)
    *older, last, _, newest = opened = await _open_nine(manager)
    page = await manager.jobs.list(limit=3)
    assert [job.job_id for job in page.jobs] == [newest, opened[-2], last]
    home = (await manager.jobs.read(last)).home.keys
    await manager.jobs.run(last)
    raw.delete(home.job(last))
    raw.zrem(home.history, last)
    rest = await manager.jobs.list(limit=100, cursor=page.cursor)
    assert [job.job_id for job in rest.jobs] == older[::-1]
    assert rest.cursor is None
    await asyncio.gather(*(manager.jobs.run(job_id) for job_id in opened if job_id != last))


async def test_jobs_are_listed_by_state_kind_and_target(manager: SessionManager) -> None:
    [expired, *_] = await create_sessions(manager, 3)
    await let_expire(manager, expired)
    sweep = await open_sweep(manager)
    user = await manager.revoke_user_sessions("ann")
    agent = await manager.revoke_agent_sessions("other")
    await manager.jobs.run(user)

    async def found(*chosen: Any) -> set[str]:
        page = await manager.jobs.list(JobFilter(*chosen))
        return {job.job_id for job in page.jobs}

    assert await found() == {sweep, user, agent}
    assert await found(JobState.QUEUED) == {sweep}
    assert await found(JobState.DONE) == {user, agent}
    assert await found(None, JobKind.DELETE_AGENT) == {agent}
    assert await found(None, None, "ann") == {user}
    assert await found(JobState.DONE, JobKind.SWEEP) == set()
    await manager.jobs.run(sweep)


@pytest.mark.parametrize("limit", [0, -1, 1_001, 1.5, True])
async def test_a_limit_out_of_bounds_is_refused(manager: SessionManager, limit: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="limit must be"):
        await manager.jobs.list(limit=limit)
    assert (await manager.jobs.list(limit=1_000)).jobs == []


@pytest.mark.parametrize("cursor", ["", "7", "x:job_1", ":job_1", "-1:job_1", "²:job_1", "7:", "1e3:job_1"])
async def test_a_cursor_that_is_none_is_refused(manager: SessionManager, cursor: str) -> None:
    await open_sweep(manager)
    with pytest.raises(InvalidArgumentError, match="cursor must be of an earlier page"):
        await manager.jobs.list(cursor=cursor)


async def test_forgotten_jobs_leave_the_list_and_do_not_fill_it(
    manager: SessionManager, raw: redis.Redis
) -> None:
    home = manager._context.partitions.home
    for _ in range(300):
        raw.delete(home.job(await open_sweep(manager)))
    kept = await open_sweep(manager)
    assert raw.zcard(home.history) < 60
    assert await _pages(manager, 10) == [[kept]]


async def test_a_request_that_joined_is_found_but_not_listed(manager: SessionManager) -> None:
    await create_sessions(manager, 2)
    opened = await manager.jobs.open(UserDeletion("ann"), JobRequest.checked("first"))
    await manager.jobs.open(UserDeletion("ann"), JobRequest.checked("second"))
    assert await _pages(manager, 10) == [["first"]]
    assert await manager.jobs.progress("second") == await manager.jobs.progress(opened.job_id)
    done = await manager.jobs.run("second")
    assert (done.job_id, done.removed) == ("first", 2)
    with pytest.raises(JobNotFoundError):
        await manager.jobs.progress("third")
