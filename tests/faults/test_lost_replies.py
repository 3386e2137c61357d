"""The server acted and the reply was lost: the call is made again, and it is the same call."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from agent_runtime.manager import (
    InvalidArgumentError,
    Session,
    SessionManager,
    StoreOutcomeUnknownError,
    StoreUnavailableError,
    new_session_id,
)
from agent_runtime.manager.scripts import jobs as job_scripts
from agent_runtime.manager.scripts.jobs import NOWHERE
from tests.support.clients import client_for
from tests.support.leftovers import chunk_problems
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire, save_turns
from tests.support.talks import checkpoint_of, talk
from tests.support.wait_until import wait_until

Opener = Callable[..., SessionManager]

LOSSES = pytest.mark.parametrize("losses", [1, 2])


def _lose_next(proxy: Proxy, losses: int) -> None:
    proxy.lose_reply_of_call(*(proxy.calls + number for number in range(1, losses + 1)))


@LOSSES
async def test_there_is_exactly_one_session(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy, losses: int
) -> None:
    _lose_next(proxy, losses)
    session = await proxied.create_session("ann", "bot", {"a": 1})
    assert await manager.get_sessions_by_user("ann") == [session]
    assert await manager.get_active_session_count() == 1


@LOSSES
async def test_there_is_exactly_one_checkpoint(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy, losses: int
) -> None:
    session = await manager.create_session("ann", "bot")
    _lose_next(proxy, losses)
    checkpoint_id = await proxied.save_checkpoint(session.session_id, {"turn": 1})
    [found] = await manager.list_checkpoints(session.session_id)
    assert (found["checkpoint_id"], found["data"]) == (checkpoint_id, {"turn": 1})


@LOSSES
async def test_chunks_of_a_checkpoint_are_there_once(
    proxied: SessionManager,
    manager: SessionManager,
    proxy: Proxy,
    raw: redis.Redis,
    namespace: str,
    losses: int,
) -> None:
    session_id = (await manager.create_session("ann", "bot")).session_id
    history = talk(20)
    for turn in (10, 14, 18):
        _lose_next(proxy, losses)
        await proxied.save_checkpoint(session_id, checkpoint_of(history, turn))
        if turn == 10:  # the chunks that the next save expects are gone
            await manager.clear_checkpoints(session_id)
            await manager.save_checkpoint(session_id, checkpoint_of(talk(20, seed=1), 10))
    listed = await manager.list_checkpoints(session_id)
    assert [each["data"] for each in listed[1:]] == [checkpoint_of(history, turn) for turn in (14, 18)]
    key = f"{namespace}:{{0}}:c:{session_id}"
    assert chunk_problems(raw.hgetall(key)) == []
    _lose_next(proxy, losses)
    assert await proxied.delete_checkpoint(session_id, listed[1]["checkpoint_id"])
    assert chunk_problems(raw.hgetall(key)) == []


@LOSSES
async def test_a_whole_batch_is_applied_once(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy, losses: int
) -> None:
    _lose_next(proxy, losses)
    created = await asyncio.gather(*(proxied.create_session("ann", "bot", {"n": n}) for n in range(40)))
    found = await manager.get_sessions_by_user("ann")
    assert sorted(found, key=lambda each: each.metadata["n"]) == created


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("update_session_metadata", ({"b": 2},)),
        ("refresh_session", ()),
        ("update_session", ()),
        ("session_exists", ()),
    ],
)
async def test_changes_of_a_session_still_say_that_it_was_live(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy, method: str, arguments: tuple[Any, ...]
) -> None:
    session = await manager.create_session("ann", "bot")
    await getattr(proxied, method)(session.session_id, *arguments)
    _lose_next(proxy, 1)
    assert await getattr(proxied, method)(session.session_id, *arguments) is True


async def test_bulk_deletion_counts_exactly(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy
) -> None:
    await create_sessions(manager, 700)
    proxy.lose_reply_of_call(*range(proxy.calls + 1, proxy.calls + 40, 2))
    assert await proxied.delete_user_sessions("ann") == 700
    assert await manager.get_active_session_count() == 0


async def test_pruning_counts_exactly(proxied: SessionManager, manager: SessionManager, proxy: Proxy) -> None:
    for session in await create_sessions(manager, 30):
        await save_turns(manager, session.session_id, 5)
    proxy.lose_reply_of_call(*range(proxy.calls + 1, proxy.calls + 20, 2))
    assert await proxied.prune_checkpoints(keep_last=2) == 90


async def test_a_sweep_counts_exactly(proxied: SessionManager, manager: SessionManager, proxy: Proxy) -> None:
    await let_expire(manager, *await create_sessions(manager, 300))
    proxy.lose_reply_of_call(*range(proxy.calls + 1, proxy.calls + 20, 2))
    assert await proxied.cleanup_expired_sessions() == 300


async def test_when_every_reply_is_lost_the_outcome_is_unknown_and_applied_once(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy
) -> None:
    _lose_next(proxy, 100)
    with pytest.raises(StoreOutcomeUnknownError):
        await proxied.create_session("ann", "bot")
    assert len(await manager.get_sessions_by_user("ann")) == 1


async def test_a_server_that_is_gone_after_it_acted_is_not_said_to_have_done_nothing(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy
) -> None:
    _lose_next(proxy, 1)
    proxy.refuse_connections()
    with pytest.raises(StoreOutcomeUnknownError):
        await proxied.create_session("ann", "bot")
    assert len(await manager.get_sessions_by_user("ann")) == 1
    with pytest.raises(StoreUnavailableError):
        await proxied.create_session("ann", "bot")
    assert len(await manager.get_sessions_by_user("ann")) == 1


async def test_a_batch_that_half_failed_answers_the_other_half(
    open_manager: Opener, breakable: RedisServer, engine: str
) -> None:
    direct = open_manager(redis_url=breakable.url())
    session = await direct.create_session("ann", "bot")
    async with Proxy(breakable.port) as proxy:
        manager = open_manager(conn=client_for(engine, proxy.url()), connect_retries=0)
        assert await manager.session_exists(session.session_id)
        with breakable.client() as client:
            client.script_flush()
        assert await direct.create_session("ann", "bot")  # of the scripts, the server knows this one again
        proxy.lose_reply_of_call(proxy.calls + 2)
        answers = await asyncio.gather(
            manager.create_session("ann", "bot"),
            manager.refresh_session(session.session_id),
            return_exceptions=True,
        )
        await manager.aclose()
    assert isinstance(answers[0], Session)
    assert isinstance(answers[1], StoreOutcomeUnknownError)


async def test_the_number_of_tries_is_a_setting(
    open_manager: Opener, manager: SessionManager, server: RedisServer, engine: str
) -> None:
    async with Proxy(server.port) as proxy:
        impatient = open_manager(conn=client_for(engine, proxy.url()), connect_retries=0)
        await impatient.session_exists("sess_1")
        _lose_next(proxy, 1)
        calls = proxy.calls
        with pytest.raises(StoreOutcomeUnknownError):
            await impatient.session_exists("sess_1")
        assert proxy.calls - calls == 1
        assert await impatient.session_exists("sess_1") is False
        await impatient.aclose()


async def test_connections_cut_between_calls_are_not_noticed(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy
) -> None:
    session = await proxied.create_session("ann", "bot")
    for turn in range(5):
        proxy.cut_connections()
        await proxied.save_checkpoint(session.session_id, {"turn": turn})
    checkpoints = await manager.list_checkpoints(session.session_id)
    assert [each["data"]["turn"] for each in checkpoints] == list(range(5))


async def test_connections_cut_under_load_lose_nothing(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy
) -> None:
    async def talk(user: int) -> str:
        session = await proxied.create_session(f"user_{user}", "bot")
        await save_turns(proxied, session.session_id, 4)
        return session.session_id

    talking = [asyncio.create_task(talk(user)) for user in range(60)]
    for _ in range(proxied.settings.connect_retries):
        await asyncio.sleep(0.01)
        proxy.cut_connections()
    for session_id in await asyncio.gather(*talking):
        assert len(await manager.list_checkpoints(session_id)) == 4


DELETIONS: dict[str, Callable[[SessionManager, str, str], Awaitable[int]]] = {
    "a session": lambda m, session_id, _: m.delete_session(session_id),
    "a checkpoint": lambda m, session_id, checkpoint_id: m.delete_checkpoint(session_id, checkpoint_id),
    "all checkpoints": lambda m, session_id, _: m.clear_checkpoints(session_id),
}


@LOSSES
@pytest.mark.parametrize("what", DELETIONS)
async def test_a_deletion_says_what_it_deleted_at_its_first_sending(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy, what: str, losses: int
) -> None:
    session = await manager.create_session("ann", "bot")
    [checkpoint_id] = await save_turns(manager, session.session_id, 1)
    delete = DELETIONS[what]
    await delete(proxied, "sess_other", "ckpt_other")  # now the server knows the script
    _lose_next(proxy, losses)
    assert await delete(proxied, session.session_id, checkpoint_id) == 1
    assert await manager.list_checkpoints(session.session_id) == []
    assert await manager.session_exists(session.session_id) is (what != "a session")
    assert await delete(proxied, session.session_id, checkpoint_id) == 0


async def test_a_caller_makes_the_same_session_again_by_its_id(manager: SessionManager) -> None:
    session_id = new_session_id("ann")
    session = await manager.create_session("ann", "bot", {"a": 1}, session_id=session_id)
    assert session.session_id == session_id
    await manager.update_session_metadata(session_id, {"b": 2})
    again = await manager.create_session("ann", "bot", {"a": 1}, session_id=session_id)
    assert again == await manager.get_session(session_id)
    assert again.metadata == {"a": 1, "b": 2}
    assert await manager.get_active_session_count() == 1


async def test_an_id_of_a_session_cannot_be_made_up(manager: SessionManager) -> None:
    good = new_session_id("ann")
    for bad in ("sess_1", good[:-1], good + "x", good[:-1] + "-", new_session_id("bob"), "", good.upper()):
        with pytest.raises(InvalidArgumentError, match="session_id"):
            await manager.create_session("ann", "bot", session_id=bad)
    assert await manager.get_active_session_count() == 0


async def test_an_id_serves_one_user_only(manager: SessionManager) -> None:
    """Two users of one bucket, of which there are 32,768, may have ids of the same form."""
    bucket = new_session_id("ann")[:8]
    twin = next(user for user in map(str, range(10**6)) if new_session_id(user).startswith(bucket))
    session_id = new_session_id("ann")
    session = await manager.create_session("ann", "bot", session_id=session_id)
    with pytest.raises(InvalidArgumentError, match="another user's"):
        await manager.create_session(twin, "bot", session_id=session_id)
    assert await manager.get_session(session_id) == session


async def test_a_caller_saves_the_same_checkpoint_again_by_its_id(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot")
    for _ in range(2):
        saved = await manager.save_checkpoint(session.session_id, {"turn": 1}, checkpoint_id="turn-1")
        assert saved == "turn-1"
    [found] = await manager.list_checkpoints(session.session_id)
    assert (found["checkpoint_id"], found["data"]) == ("turn-1", {"turn": 1})


async def test_a_refused_batch_is_counted_once(
    proxied: SessionManager, manager: SessionManager, proxy: Proxy
) -> None:
    [session] = await create_sessions(manager, 1)
    job_id = await manager.revoke_user_sessions("ann")
    keys = manager.jobs._store._partitions.of_session(session.session_id)

    async def fail() -> str:
        mine: dict[str, Any] = {"shard": 0, "token": secrets.token_hex(8)}
        await job_scripts.begin_slice(
            manager._context.client, keys, job_id, number=None, silence_ms=1_000, elsewhere=NOWHERE, **mine
        )
        fields = await job_scripts.end_slice(
            proxied._context.client, keys, job_id, reason="no", max_attempts=3, retention_ms=60_000, **mine
        )
        return fields["state"]

    assert await fail() == "running"
    _lose_next(proxy, 2)
    assert await fail() == "running"
    assert await fail() == "failed"
    await manager.jobs.control(job_id, "resume")
    await manager.jobs.run(job_id)


async def test_a_server_that_is_loading_did_not_apply_this_try_but_perhaps_an_earlier_one(
    open_manager: Opener, namespace: str, engine: str
) -> None:
    """`make chaos` saw the call reported as not applied, while the session was there."""
    slowly = ("--key-load-delay", "300")  # µs for each key
    with RedisServer(keeps_data=True, config=slowly) as server:
        _fill(server, 30_000)
        async with Proxy(server.port) as proxy:
            manager = open_manager(
                redis_url=proxy.url(), conn=client_for(engine, proxy.url()), connect_retries=1
            )
            other = open_manager(
                redis_url=server.url(), conn=client_for(engine, server.url()), connect_retries=1
            )
            await manager.create_session("warm", "up")
            proxy.hold_reply_of_call(proxy.calls + 1)
            call = asyncio.create_task(manager.create_session("ann", "bot"))
            await wait_until(lambda: _users(server, namespace) == 2, description="the session to be created")
            server.kill()
            starting = asyncio.create_task(asyncio.to_thread(server.start))
            await wait_until(lambda: _is_loading(server), description="the server to load its data")
            with pytest.raises(StoreUnavailableError, match="loading"):  # this try cannot have been applied
                await other.create_session("bob", "bot")
            proxy.cut_connections()
            proxy.release_replies()
            with pytest.raises(StoreOutcomeUnknownError, match="loading"):
                await call
            with server.client() as client, suppress(redis.ResponseError):  # Redis 6.2 refuses it
                client.config_set("key-load-delay", 0)
            await starting
            assert await manager.get_active_session_count("ann") == 1
            await manager.aclose()


def _fill(server: RedisServer, keys: int) -> None:
    with server.client(db=5) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(keys):
            pipeline.set(f"key {number}", number)
        pipeline.execute()


def _users(server: RedisServer, namespace: str) -> int:
    with server.client() as client:
        return len(client.keys(f"{namespace}:*:u:*"))


def _is_loading(server: RedisServer) -> bool:
    with server.client(retry=Retry(NoBackoff(), 0)) as client:
        try:
            client.ping()
        except redis.exceptions.BusyLoadingError:
            return True
        except redis.RedisError:
            return False
    return False
