"""Ids may be any text of up to `max_id_bytes`: each finds its own data and no other's.

A value that is no id is refused before anything is sent.
"""

import inspect
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import redis
from hypothesis import strategies as st

from agent_runtime.manager import (
    CachedSessionManager,
    InvalidArgumentError,
    SessionManager,
    SessionNotFoundError,
    Settings,
)
from agent_runtime.manager.jobs import JobNotFoundError
from agent_runtime.manager.jobs.request import JobRequest
from tests.fuzz import corpus, made
from tests.fuzz.inputs import fuzz
from tests.support.keyspace import snapshot
from tests.support.leftovers import remove_namespace

_PAIRS = st.lists(st.tuples(made.ids, made.ids), min_size=2, max_size=5, unique=True)

_namespaces = st.text(
    st.characters(exclude_characters="{}", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda text: not any(each.isspace() for each in text))

#: Good values for the other arguments of a method that takes an id.
_FINE: dict[str, Any] = {"data": {}, "metadata": {}}

#: Every public method that takes an id, with the names of its ids.
_TAKING_IDS = {
    name: [each for each in inspect.signature(method).parameters if each.endswith("_id") and each != "job_id"]
    for name, method in inspect.getmembers(SessionManager, inspect.isfunction)
    if not name.startswith("_")
    and (inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method))
}
_PLACES = [(name, id_name) for name, ids in _TAKING_IDS.items() for id_name in ids]

#: Methods that mean all if no id is given.
_OPTIONAL = {"get_active_session_count", "prune_checkpoints"}
_OPTIONAL_IDS = {("create_session", "session_id"), ("save_checkpoint", "checkpoint_id")}


@fuzz(150, corpus=[{"pairs": pairs} for pairs in corpus.CONFUSABLE_PAIRS], pairs=_PAIRS)
async def test_users_and_agents_are_kept_apart(
    manager: SessionManager, raw: redis.Redis, namespace: str, pairs: list[tuple[str, str]]
) -> None:
    remove_namespace(raw, namespace)
    made_by = {pair: await manager.create_session(*pair, {"pair": list(pair)}) for pair in pairs}
    for position, read in enumerate((manager.get_sessions_by_user, manager.get_sessions_by_agent)):
        for owner in {pair[position] for pair in pairs}:
            expected = [session for pair, session in made_by.items() if pair[position] == owner]
            assert await read(owner) == expected
    gone, *kept = pairs
    _let_run_out(raw, namespace, made_by[gone].session_id)
    assert await manager.cleanup_expired_sessions() == 1
    indexes = raw.scan_iter(f"{namespace}:*", _type="zset")
    assert not [key for key in indexes if raw.zscore(key, made_by[gone].session_id) is not None]
    for pair in pairs:
        assert await manager.get_session(made_by[pair].session_id) == (
            None if pair == gone else made_by[pair]
        )
        assert await manager.get_active_session_count(pair[0]) == sum(each[0] == pair[0] for each in kept)
    first_user = kept[0][0]
    assert await manager.delete_user_sessions(first_user) == sum(user == first_user for user, _ in kept)
    left = [made_by[pair] for pair in kept if pair[0] != first_user]
    assert await manager.get_active_session_count() == len(left)
    for session in left:
        assert await manager.get_session(session.session_id) == session


@fuzz(
    2_600,
    corpus=[{"place": place, "value": bad} for place, bad in product(_PLACES, ["", "\ud83d", b"ann", 0])],
    place=st.sampled_from(_PLACES),
    value=made.ids | st.sampled_from(corpus.BAD_IDS) | made.anything,
)
async def test_an_id_is_refused_before_anything_is_sent_or_reaches_nothing(
    both: list[SessionManager], raw: redis.Redis, namespace: str, place: tuple[str, str], value: Any
) -> None:
    method, id_name = place
    if method == "erase_user_key":  # without a key server, this method refuses everyone
        return
    if value is None and (method in _OPTIONAL or place in _OPTIONAL_IDS):
        return
    before = snapshot(raw, namespace)
    for manager in both:
        try:
            answer = await _call(manager, method, id_name, value)
        except InvalidArgumentError as error:
            answer = str(error)
        except SessionNotFoundError:
            answer = method != "save_checkpoint"
        if not _is_id(value):
            assert str(answer).startswith(f"{id_name} ")
            assert snapshot(raw, namespace) == before
        else:
            assert not answer or method == "create_session" or method.startswith("revoke_")
    if _is_id(value):
        remove_namespace(raw, namespace)


@fuzz(
    60,
    corpus=[{"ids": ["a", "a:1"]}, {"ids": ["job_*", "job_x"]}, {"ids": ["\x00", "\x00\x00"]}],
    ids=st.lists(made.ids, min_size=2, max_size=3, unique=True),
)
async def test_jobs_are_kept_apart_by_any_id(
    manager: SessionManager, raw: redis.Redis, namespace: str, ids: list[str]
) -> None:
    remove_namespace(raw, namespace)
    for job_id in ids:
        await manager.create_session(job_id, "bot")
        assert await manager.revoke_user_sessions(job_id, job_id, reason=job_id) == job_id
    for job_id in ids:
        job = await manager.jobs.progress(job_id)
        assert (job.job_id, job.target, job.reason, job.total) == (job_id, job_id, job_id, 1)
    listed, cursor = [], None
    while page := await manager.jobs.list(limit=1, cursor=cursor):
        listed += [job.job_id for job in page.jobs]
        if (cursor := page.cursor) is None:
            break
    assert sorted(listed) == sorted(ids)
    for job_id in ids:
        assert (await manager.jobs.run(job_id)).removed == 1
        with pytest.raises(InvalidArgumentError, match="is that of another job"):
            await manager.revoke_agent_sessions("bot", job_id)
    assert (await manager.jobs.receipts.verify()).problems == []
    assert [receipt.job_id async for receipt in manager.jobs.receipts.all()] == ids


@fuzz(500, corpus=[{"value": bad} for bad in corpus.BAD_IDS], value=made.texts | made.anything)
async def test_a_job_id_is_refused_before_anything_is_sent_or_unknown(
    manager: SessionManager, raw: redis.Redis, namespace: str, value: Any
) -> None:
    is_id = _is_id(value, most_bytes=1_000)
    for call in (
        manager.jobs.progress,
        manager.jobs.run,
        lambda each: manager.jobs.control(each, "undo"),
    ):
        with pytest.raises(JobNotFoundError if is_id else InvalidArgumentError, match="job"):
            await call(value)
    if not is_id and value is not None:
        with pytest.raises(InvalidArgumentError, match=r"^job_id "):
            await manager.revoke_user_sessions("ann", value)
        with pytest.raises(InvalidArgumentError, match=r"^idempotency_key "):
            await manager.revoke_user_sessions("ann", idempotency_key=value)
        assert snapshot(raw, namespace) == {}
    assert is_id or not await manager.jobs.take_stalled()


@fuzz(
    150,
    corpus=[{"agents": [a, b], "spared": 1} for pairs in corpus.CONFUSABLE_PAIRS for a, b in pairs if a != b],
    agents=st.lists(made.ids, min_size=2, max_size=4, unique=True),
    spared=st.integers(0, 4),
)
async def test_a_pruning_spares_the_agents_named_and_no_others(
    manager: SessionManager, raw: redis.Redis, namespace: str, agents: list[str], spared: int
) -> None:
    remove_namespace(raw, namespace)
    sessions = [await manager.create_session("ann", agent) for agent in agents]
    for session in sessions * 2:
        await manager.save_checkpoint(session.session_id, {})
    work = manager.jobs.pruning(keep_last=1, except_agents=agents[:spared])
    opened = await manager.jobs.open(work, JobRequest.checked())
    assert (await manager.jobs.run(opened.job_id)).removed == max(0, len(agents) - spared)
    for number, session in enumerate(sessions):
        assert len(await manager.list_checkpoints(session.session_id)) == (2 if number < spared else 1)


@fuzz(
    100,
    corpus=[
        {"names": names} for names in (["a", "a:"], ["*", "a"], ["[a]", "a"], [":", "::"], ["x" * 64, "x"])
    ],
    names=st.lists(_namespaces, min_size=2, max_size=2, unique=True),
)
async def test_namespaces_are_kept_apart(
    settings: Settings, raw: redis.Redis, namespace: str, names: list[str]
) -> None:
    first, second = (
        SessionManager.from_settings(Settings(**{**settings.model_dump(), "namespace": f"{name}"}))
        for name in names
    )
    try:
        async with first, second:
            session = await first.create_session("ann", "bot")
            assert await second.get_sessions_by_user("ann") == []
            assert await second.delete_agent_sessions("bot") == 0
            assert await second.get_active_session_count() == 0
            assert await first.get_session(session.session_id) == session
            assert await first.delete_user_sessions("ann") == 1
    finally:
        for name in names:
            _remove_exactly(raw, name)


@fuzz(250, corpus=[{"value": bad} for bad in corpus.BAD_IDS], value=made.ids | made.anything)
async def test_the_hash_of_a_target_is_made_of_an_id_only(manager: SessionManager, value: Any) -> None:
    if _is_id(value):
        assert await manager.jobs.receipts.target_hash(value) == await manager.jobs.receipts.target_hash(
            value
        )
        assert await manager.jobs.receipts.target_hash(value) != await manager.jobs.receipts.target_hash(
            "another"
        )
    else:
        with pytest.raises(InvalidArgumentError, match=r"^target "):
            await manager.jobs.receipts.target_hash(value)


@pytest.fixture
def both(open_manager: Callable[..., SessionManager]) -> list[SessionManager]:
    return [open_manager(), open_manager(CachedSessionManager)]


async def _call(manager: SessionManager, method: str, id_name: str, value: Any) -> Any:
    function = getattr(manager, method)
    given = {id_name: value}
    if method == "prune_checkpoints":
        given["keep_last"] = 1
    else:
        given |= {name: f"other_{name}" for name in _TAKING_IDS[method] if name != id_name}
    given |= {name: fine for name, fine in _FINE.items() if name in inspect.signature(function).parameters}
    if inspect.isasyncgenfunction(function):
        return [each async for each in function(**given)]
    return await function(**given)


def _is_id(value: Any, most_bytes: int = 512) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return 0 < len(value.encode()) <= most_bytes
    except UnicodeEncodeError:
        return False


def _let_run_out(raw: redis.Redis, namespace: str, session_id: str) -> None:
    """End a session as Redis would at its expiry, and its entries in the indexes as the clock would."""
    prefix = f"{namespace}:{{0}}:"
    user, agent = raw.hmget(f"{prefix}s:{session_id}", "user", "agent")
    raw.zadd(prefix.encode() + b"u:" + user, {session_id: 1})
    raw.zadd(prefix.encode() + b"a:" + agent, {session_id: 1})
    raw.zadd(prefix + "x", {b"%s %d %s%s" % (session_id.encode(), len(user), user, agent): 1})
    raw.delete(f"{prefix}s:{session_id}")


def _remove_exactly(raw: redis.Redis, name: str) -> None:
    start = f"{name}:{{0}}:".encode()
    for key in [key for key in raw.scan_iter(count=1_000) if key.startswith(start)]:
        raw.unlink(key)
