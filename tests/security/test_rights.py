"""The rights that docs/security.md gives to each user of the server are enough, and none is superfluous."""

import asyncio
import fnmatch
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial

import pytest
import redis

from agent_runtime.manager import CachedSessionManager, SessionManager, Settings
from tests.support.cli import run_cli
from tests.support.every_call import (
    ENTRY_TASKS,
    leave_work_for_a_worker,
    look,
    use_copies,
    use_jobs,
    use_sessions,
)
from tests.support.flower import FlowerProcess
from tests.support.jobs import finished
from tests.support.processes import CeleryProcess, run_program
from tests.support.proxy import Proxy
from tests.support.redis_server import RedisServer
from tests.support.rights import Watch, commands_in, create_user, is_cleared, leave_behind, rights_in
from tests.support.wait_until import wait_until

CALLER, WORKER, FLOWER, READER = (
    f"agent-sessions-{role}" for role in ("caller", "worker", "flower", "reader")
)
USERS = (CALLER, WORKER, FLOWER, READER)
_NAMESPACE = "rights"

#: A worker keeps the task unacknowledged until then, and puts it back when told to stop.
_A_TASK_FOR_LATER = """
import tasks
print('"' + tasks.cleanup_expired_sessions.apply_async(countdown=100).id + '"')
"""

#: Each user's connections come from an address of their own.
_SOURCES = {user: f"127.0.0.{number}" for number, user in enumerate(USERS, 2)}


def _settings(user: str, port: int, **more: object) -> dict[str, object]:
    url = f"redis://{user}:CHANGE-ME@127.0.0.1:{port}/0"
    return {"redis_url": url, "namespace": _NAMESPACE, "receipt_key": "of the test", **more}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server with the users of the page. Only the tests may connect without a name."""
    # To Redis 7, other addresses of this machine than 127.0.0.1 are not its own. The server listens on no
    # other.
    with RedisServer(config=("--protected-mode", "no")) as running, running.client() as client:
        for user, rules in rights_in().items():
            create_user(client, user, rules, _NAMESPACE)
        yield running


@pytest.fixture(scope="module")
def watch(server: RedisServer) -> Watch:
    """Record each user's commands while the whole system is used, from creating sessions to looking at
    Flower."""
    with server.client() as raw, server.client(db=1) as broker, Watch(server) as watch:
        asyncio.run(_use_everything(server, raw, broker))
        denied = raw.execute_command("ACL", "LOG")
        assert [entry for entry in denied if _matters(entry)] == []
    return watch


def _matters(entry: dict[bytes, bytes]) -> bool:
    """Return False for redis-py's introduction of itself, which it leaves out if it may not."""
    return entry[b"object"].partition(b"|")[0] != b"client"


async def _use_everything(server: RedisServer, raw: redis.Redis, broker: redis.Redis) -> None:
    async with AsyncExitStack() as stack:
        proxies = {
            user: await stack.enter_async_context(Proxy(server.port, source))
            for user, source in _SOURCES.items()
        }
        await _use_all_processes(
            {user: _settings(user, proxy.port) for user, proxy in proxies.items()}, raw, broker
        )


async def _use_all_processes(of: dict[str, dict[str, object]], raw: redis.Redis, broker: redis.Redis) -> None:
    worker = CeleryProcess(
        "worker",
        "--concurrency",
        "2",
        "--loglevel",
        "INFO",
        ready="ready.",
        **of[WORKER],
        slice_seconds=0.01,
        stalled_after_seconds=0.5,
    )
    beat = CeleryProcess(
        "beat", "--loglevel", "INFO", **of[WORKER], sweep_interval_seconds=1, resume_interval_seconds=1
    )
    flower = FlowerProcess(**of[FLOWER])
    processes = (worker, beat, flower)
    try:
        for process in (flower, worker, beat):
            if process is not beat:
                leave_behind(broker)
            await asyncio.to_thread(process.start)
            try:
                await wait_until(
                    partial(_has_cleared, process, broker), description="the broker cleared", timeout=60
                )
            except AssertionError as error:
                raise AssertionError(f"{error}\n{process.log()}") from error
        await _call_everything(of, raw)
        await wait_until(
            lambda: _shows_the_worker(flower),
            description="Flower to show what it asked the worker",
        )
        pages = [await asyncio.to_thread(flower.get, path) for path in ("/tasks", "/broker")]
        assert [page.status for page in pages] == [200, 200]
        held = await asyncio.to_thread(run_program, _A_TASK_FOR_LATER, **of[CALLER])
        await wait_until(
            lambda: f"[{held}] received" in worker.log(),
            description="the worker to hold a message",
        )
        await asyncio.gather(*(asyncio.to_thread(process.terminate) for process in processes))
        assert re.search(r"Restoring \d+ unacknowledged", worker.log())
        for process in processes:
            assert "permission" not in process.log(), process.log()
    finally:
        for process in processes:
            process.remove()


async def _has_cleared(process: CeleryProcess, broker: redis.Redis) -> bool:
    """Return True once the leftovers are gone. Flower is asked each time.

    Flower clears only while it waits for answers of workers, and not each time (kombu 5.7: only if the wait
    ends before the server says that there is nothing).
    """
    if isinstance(process, FlowerProcess):
        await asyncio.to_thread(process.get, "/workers?refresh=1")
    return is_cleared(broker)


async def _shows_the_worker(flower: FlowerProcess) -> bool:
    workers = await asyncio.to_thread(flower.get, "/workers?refresh=1")
    name = re.search(r"celery@[\w.-]+", workers.text)
    page = name and await asyncio.to_thread(flower.get, f"/worker/{name.group()}")
    return bool(page and "maintenance" in page.text)


async def _call_everything(of: dict[str, dict[str, object]], raw: redis.Redis) -> None:
    caller = Settings(**of[CALLER], max_checkpoints=4)  # type: ignore[arg-type]
    async with SessionManager.from_settings(caller) as manager:
        await use_sessions(manager)
        await use_jobs(manager)
        [job] = await leave_work_for_a_worker(manager, raw)
        assert (await finished(job)).removed == 1
    async with CachedSessionManager.from_settings(caller) as cached:
        await use_copies(cached)
    assert await asyncio.to_thread(run_program, ENTRY_TASKS, **of[CALLER]) == [4, 1, 1, 0]
    erased = await asyncio.to_thread(run_cli, "delete-user", "crowd", "--yes", "--wait", **of[CALLER])
    assert erased.status == 0
    async with SessionManager.from_settings(Settings(**of[READER])) as manager:  # type: ignore[arg-type]
        await look(manager)
    for command in (("jobs", "list"), ("receipts", "list"), ("receipts", "verify")):
        assert (await asyncio.to_thread(run_cli, *command, **of[READER])).status == 0
    raw.script_flush()
    async with SessionManager.from_settings(Settings(**of[READER])) as manager:  # type: ignore[arg-type]
        await look(manager)


@pytest.mark.parametrize("user", USERS)
def test_each_command_that_a_user_may_run_is_one_that_it_runs(watch: Watch, user: str) -> None:
    used, granted = watch.commands[_SOURCES[user]], commands_in(rights_in()[user])
    assert (sorted(used - granted), sorted(granted - used)) == ([], [])


@pytest.mark.parametrize("user", USERS)
def test_each_pattern_of_a_user_is_that_of_a_key_or_channel_it_names(watch: Watch, user: str) -> None:
    words = watch.words[_SOURCES[user]]
    patterns = [
        rule[1:].replace("agent_sessions", _NAMESPACE) for rule in rights_in()[user] if rule[0] in "~&"
    ]
    unused = [pattern for pattern in patterns if not _is_named(pattern, words)]
    assert unused == []


def _is_named(pattern: str, words: set[str]) -> bool:
    """Return True if the watch has seen the pattern. The watch shows unprintable bytes like `\\x06`."""
    shown = pattern.replace("??", r"\x06\x16")
    return shown in words or bool(fnmatch.filter(words, shown))


@pytest.mark.parametrize("user", USERS)
def test_no_user_can_do_what_it_need_not(server: RedisServer, user: str) -> None:
    forbidden = [
        ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"), ("SCAN", "0"), ("CONFIG", "GET", "*"), ("SHUTDOWN",),
        ("DEBUG", "SLEEP", "0"), ("SWAPDB", "0", "1"), ("ACL", "LIST"), ("MONITOR",), ("CLIENT", "LIST"),
        ("SCRIPT", "FLUSH"), ("EVALSHA", "0" * 40, "1", "other:x"), ("PUBLISH", "other", "x"),
        ("EVAL", "return redis.call('HGETALL', 'other:{0}:s:x')", "0"),
    ]  # fmt: skip
    with server.client(username=user, password="CHANGE-ME", protocol=2) as client:
        for command in forbidden:
            with pytest.raises(redis.ResponseError, match=r"(?i)permission|ACL failure|can't"):
                client.execute_command(*command)


def test_a_worker_without_its_rights_says_so_and_does_not_start(server: RedisServer) -> None:
    with CeleryProcess("worker", **_settings(READER, server.port)) as process:
        assert process.wait() == 1
        assert "'info' command" in process.log()
        assert "docs/security.md" in process.log()
