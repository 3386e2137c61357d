"""The store remembers how it was begun, and refuses whoever comes with other settings."""

import asyncio
from collections.abc import Callable

import pytest
import redis

from agent_runtime.manager import (
    CachedSessionManager,
    LayoutError,
    SessionManager,
    Settings,
    StoreUnavailableError,
)
from tests.support.cli import run_cli
from tests.support.clients import ENGINES, client_for
from tests.support.encryption import key_ring
from tests.support.keyspace import snapshot
from tests.support.processes import CeleryProcess
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions

Opener = Callable[..., SessionManager]

#: What each method of a process with another layout would do first.
_CALLS: dict[str, Callable[[SessionManager], object]] = {
    "create": lambda manager: manager.create_session("ann", "bot"),
    "read": lambda manager: manager.get_session("sess_000"),
    "list": lambda manager: manager.get_sessions_by_user("ann"),
    "count": lambda manager: manager.get_active_session_count(),
    "save": lambda manager: manager.save_checkpoint("sess_000", {}),
    "delete": lambda manager: manager.delete_user_sessions("ann"),
    "revoke": lambda manager: manager.revoke_agent_sessions("bot"),
    "sweep": lambda manager: manager.cleanup_expired_sessions(),
    "prune": lambda manager: manager.prune_checkpoints(keep_last=1),
    "jobs": lambda manager: manager.jobs.list(),
    "rescue": lambda manager: manager.jobs.take_stalled(),
    "check": lambda manager: anext(aiter(manager.scrub(repair=True))),
}


@pytest.mark.parametrize("call", _CALLS)
async def test_whoever_has_another_number_of_partitions_does_nothing(
    open_manager: Opener, raw: redis.Redis, namespace: str, call: str
) -> None:
    first, other = open_manager(partitions=4), open_manager(partitions=1)
    await create_sessions(first, 3)
    before = snapshot(raw, namespace)
    for _ in range(2):
        with pytest.raises(LayoutError, match="4 partitions, and AGENT_SESSIONS_PARTITIONS is 1"):
            await _CALLS[call](other)  # type: ignore[misc]
    assert snapshot(raw, namespace) == before
    assert len(await first.get_sessions_by_user("ann")) == 3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cls", [SessionManager, CachedSessionManager])
async def test_of_first_calls_made_at_once_none_passes(
    open_manager: Opener, settings: Settings, cls: type[SessionManager], engine: str
) -> None:
    await open_manager(partitions=4).create_session("ann", "bot")
    other = open_manager(cls, conn=client_for(engine, settings.redis_url))
    calls = (other.create_session("ann", "bot") for _ in range(50))
    assert {type(each) for each in await asyncio.gather(*calls, return_exceptions=True)} == {LayoutError}


async def test_many_processes_that_begin_at_once_agree_on_one(open_manager: Opener) -> None:
    managers = [open_manager(partitions=count) for count in (1, 2, 3, 4) * 5]
    calls = (manager.create_session("ann", "bot") for manager in managers)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    passed = {
        manager.settings.partitions
        for manager, answer in zip(managers, answers, strict=True)
        if not isinstance(answer, LayoutError)
    }
    assert len(passed) == 1


async def test_a_key_that_others_know_otherwise_is_refused(open_manager: Opener) -> None:
    ring = key_ring("k1", "k2")
    first = open_manager(encryption_keys=ring)
    await first.create_session("ann", "bot")
    other = open_manager(encryption_keys=ring.replace('"k1"', '"k3"').replace('"k2"', '"k1"'))
    with pytest.raises(LayoutError, match="the key 'k1' of AGENT_SESSIONS_ENCRYPTION_KEYS is not the one"):
        await other.create_session("ann", "bot")


async def test_keys_may_come_and_go(open_manager: Opener) -> None:
    for key_ids in (("k1",), ("k1", "k2"), ("k2",), ("k2", "k3")):
        await open_manager(encryption_keys=key_ring(*key_ids)).create_session("ann", "bot")
    await open_manager().create_session("bob", "bot")


async def test_what_is_noted_tells_nothing_of_a_key(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    await open_manager(encryption_keys=key_ring("k1")).create_session("ann", "bot")
    noted = raw.hgetall(f"{namespace}:{{0}}:layout")
    assert noted.keys() == {b"format", b"partitions", b"key k1"}
    assert len(noted[b"key k1"]) == 32
    assert 399 * 86_400 < raw.ttl(f"{namespace}:{{0}}:layout") <= 400 * 86_400


async def test_data_of_a_later_format_is_refused(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    raw.hset(f"{namespace}:{{0}}:layout", "format", 2)
    raw.expire(f"{namespace}:{{0}}:layout", 60)
    with pytest.raises(LayoutError, match="format 2, and this version of the package reads format 1"):
        await open_manager().get_session("sess_000")


async def test_a_first_call_that_reaches_no_server_is_made_again(
    open_manager: Opener, breakable: RedisServer
) -> None:
    manager = open_manager(redis_url=breakable.url(), connect_retries=0)
    breakable.stop()
    with pytest.raises(StoreUnavailableError):
        await manager.create_session("ann", "bot")
    breakable.start()
    await open_manager(redis_url=breakable.url(), partitions=2).create_session("ann", "bot")
    with pytest.raises(LayoutError):
        await manager.create_session("ann", "bot")


@pytest.fixture
def breakable() -> object:
    with RedisServer(keeps_data=True) as server:
        yield server


@pytest.mark.parametrize("program", ["worker", "beat"])
async def test_a_worker_with_another_layout_does_not_start(
    open_manager: Opener, settings: Settings, program: str
) -> None:
    await open_manager(partitions=4).create_session("ann", "bot")
    ours = settings.model_dump(exclude_unset=True)
    with CeleryProcess(program, **ours) as process:
        assert process.wait() == 1
        assert "cannot start: the store with the namespace" in process.log()


async def test_the_command_line_says_so(open_manager: Opener, settings: Settings) -> None:
    await open_manager(partitions=4).create_session("ann", "bot")
    ended = run_cli("jobs", "list", **settings.model_dump(exclude_unset=True))
    assert ended.status != 0
    assert "AGENT_SESSIONS_PARTITIONS is 1" in ended.err
