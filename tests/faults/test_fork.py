"""A process that used a manager and then forks: parent and child share nothing that would hurt either.

Each program below is a process of its own, which forks with `os.fork`, as `multiprocessing`, gunicorn with
`--preload` and Celery's prefork pool do.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent_runtime.manager import Settings
from tests.support.encryption import key_ring
from tests.support.redis_server import RedisServer
from tests.support.wait_until import HANG_SECONDS

_ROOT = Path(__file__).parents[2]

#: Beginning of each program: a manager that works as one of `clients.ENGINES` or another kind says, and
#: `forked(work)`, which returns what the coroutine returned in a child.
_BEGINNING = """
import asyncio, json, os, sys, threading
import redis
from agent_runtime.manager import CachedSessionManager, SessionManager
from tests.support.clients import client_for

def made(kind):
    cls = CachedSessionManager if kind == "cached" else SessionManager
    conn = client_for("pooled" if kind == "pooled" else "multiplexed", os.environ["AGENT_SESSIONS_REDIS_URL"])
    conn.connection_pool.connection_kwargs["client_name"] = os.environ["AGENT_SESSIONS_NAMESPACE"]
    return cls(conn, max_sessions=100_000)

def begun(work, end=sys.exit):
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    os.close(read)
    with os.fdopen(write, "w") as answer:
        json.dump(asyncio.run(work()), answer)
    end(0)

def ended(child, read):
    with os.fdopen(read) as answer:
        said = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"the child ended with {status}"
    return json.loads(said)

def forked(work, end=sys.exit):
    return ended(*begun(work, end))

def history(who, turns):
    return [{"role": "user", "content": f"{who} turn {turn} " + who * 1500} for turn in range(turns)]

def here(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
manager = made(sys.argv[1])
"""

#: Parent and child save different turns on top of the same ones. What the parent saved first is deleted by
#: another process, so that the names of its chunks are free for whoever takes them again.
_SAVES = """
base = history("base", 4)

async def begin():
    session = await manager.create_session("ann", "bot")
    await manager.save_checkpoint(session.session_id, {"history": base})
    return session.session_id

async def save(who, turns=2):
    return await manager.save_checkpoint(session_id, {"history": base + history(who, turns)})

async def words(checkpoint_ids, reader):
    found = [await reader.get_checkpoint(session_id, name) for name in checkpoint_ids]
    return [sorted({turn["content"].split()[0] for turn in each["data"]["history"]}) for each in found]

async def save_when_told():
    os.read(told, 1)
    return await save("child")

session_id = asyncio.run(begin())
told, tell = os.pipe()
child = begun(save_when_told)
gone = asyncio.run(save("parent"))
asyncio.run(SessionManager.from_settings().delete_checkpoint(session_id, gone))
os.write(tell, b"now")
saved = [ended(*child), asyncio.run(save("parent", 3))]
print(json.dumps([
    asyncio.run(words(saved, manager)),
    asyncio.run(words(saved, SessionManager.from_settings())),
    forked(lambda: words(saved, manager)),
]))
"""

#: Parent and children work at once, and the parent goes on when its children have ended.
_AT_ONCE = """
async def live(who):
    made = await asyncio.gather(*(manager.create_session(f"{who}{n}", "bot") for n in range(100)))
    found = await asyncio.gather(*(manager.get_session(each.session_id) for each in made))
    return [each.user_id for each in found] == [f"{who}{n}" for n in range(100)]

def parent():
    assert here(live("before"))
    before = sorted(each["id"] for each in ours())
    children = [begun(lambda who=who: live(who)) for who in ("child", "sister")]
    assert here(live("parent"))
    assert [ended(*each) for each in children] == [True, True]
    assert here(live("after"))
    return before, sorted(each["id"] for each in ours())

def ours():
    name = os.environ["AGENT_SESSIONS_NAMESPACE"]
    return [each for each in raw.client_list() if each["name"] == name]

raw = redis.Redis.from_url(os.environ["AGENT_SESSIONS_REDIS_URL"])
print(json.dumps(parent()))
"""

#: Threads of the parent hold all locks of the package at the moment of the fork.
_LOCKS = """
import gc
from contextlib import ExitStack

async def work():
    session = await manager.create_session("ann", "bot")
    await manager.save_checkpoint(session.session_id, {"history": history("ann", 2)})
    await manager.get_session(session.session_id)
    await manager.get_latest_checkpoint(session.session_id)
    return await manager.delete_session(session.session_id)

done = [here(work())]
ours = [each for each in gc.get_objects() if type(each).__module__.startswith("agent_runtime.")]
kept = [value for each in ours for value in getattr(each, "__dict__", {}).values()]
locks = [value for value in kept if isinstance(value, type(threading.Lock()))]
with ExitStack() as held:
    for lock in locks:
        held.enter_context(lock)
    child = begun(work)
print(json.dumps([len(locks), here(work()), ended(*child)]))
"""

#: A child hears of changes on a connection of its own; so does its parent, later on.
_TRACKING = """
async def see_a_change():
    session = await manager.create_session("ann", "bot")
    await manager.get_session(session.session_id)
    while not manager.is_tracking_active():
        await asyncio.sleep(0.01)
        await manager.get_session(session.session_id)
    async with SessionManager.from_settings() as other:
        await other.update_session_metadata(session.session_id, {"changed": True})
    while not (await manager.get_session(session.session_id)).metadata:
        await asyncio.sleep(0.01)
    return manager.is_tracking_active()

print(json.dumps([here(see_a_change()), forked(see_a_change, os._exit), here(see_a_change())]))
"""

#: A fork that Python does not hear of, as uWSGI makes it without `py-call-osafterfork`.
_UNNOTICED = """
import ctypes

async def create():
    try:
        return (await manager.create_session("ann", "bot")).user_id
    except Exception as error:
        return f"{type(error).__name__}: {error}"

os.fork = ctypes.PyDLL(None).fork
print(json.dumps([asyncio.run(create()), forked(create, os._exit), asyncio.run(create())]))
"""

#: A caller's process that has enqueued a deletion, and whose child enqueues another one.
_PUBLISHING = """
from agent_runtime.tasks import SessionJobs

async def delete(user):
    await manager.create_session(user, "bot")
    return (await SessionJobs(manager).delete_user_sessions(user)).id

print(json.dumps([asyncio.run(delete("ann")), forked(lambda: delete("bob")), asyncio.run(delete("carl"))]))
"""


#: From 3.12 on, Python warns of a fork beside threads.
_MAY_FORK = ("-W", "ignore:This process:DeprecationWarning")


@pytest.fixture
def run(settings: Settings) -> Callable[..., Any]:
    def run(program: str, kind: str, **changes: object) -> Any:
        given = {"redis_url": settings.redis_url, "namespace": settings.namespace, **changes}
        variables = {f"AGENT_SESSIONS_{name.upper()}": str(value) for name, value in given.items()}
        process = subprocess.Popen(
            [sys.executable, *_MAY_FORK, "-c", _BEGINNING + program, kind],
            cwd=_ROOT,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            answer, complaint = process.communicate(timeout=HANG_SECONDS)
        finally:
            with suppress(ProcessLookupError):  # a child may hang where its parent failed
                os.killpg(process.pid, signal.SIGKILL)
        assert (process.returncode, complaint) == (0, "")
        return json.loads(answer)

    return run


_KINDS = ("multiplexed", "pooled", "cached")


@pytest.mark.parametrize("keys", [{}, {"encryption_keys": key_ring("k1")}], ids=["plain", "encrypted"])
@pytest.mark.parametrize("kind", _KINDS)
def test_parent_and_child_never_read_the_text_of_the_other(
    run: Callable[..., Any], kind: str, keys: dict[str, str]
) -> None:
    expected = [["base", "child"], ["base", "parent"]]
    assert run(_SAVES, kind, **keys) == [expected, expected, expected]


@pytest.mark.parametrize("kind", ["multiplexed", "cached"])
def test_a_parent_keeps_its_connections_whatever_its_children_do(run: Callable[..., Any], kind: str) -> None:
    before, after = run(_AT_ONCE, kind)
    assert before
    assert before == after


def test_parent_and_children_with_a_pool_work_at_once(run: Callable[..., Any]) -> None:
    before, after = run(_AT_ONCE, "pooled")
    assert before
    assert set(before) <= set(after)


@pytest.mark.parametrize(("kind", "fewest"), [("multiplexed", 3), ("pooled", 3), ("cached", 4)])
def test_a_child_works_though_its_parent_held_locks(run: Callable[..., Any], kind: str, fewest: int) -> None:
    locks, *done = run(_LOCKS, kind, encryption_keys=key_ring("k1"))
    assert locks >= fewest
    assert done == [True, True]


def test_parent_and_child_are_told_of_changes_each_for_itself(run: Callable[..., Any]) -> None:
    assert run(_TRACKING, "cached") == [True, True, True]


def test_parent_and_child_enqueue(run: Callable[..., Any], breakable: RedisServer) -> None:
    ids = run(_PUBLISHING, "multiplexed", broker_url=breakable.url())
    with breakable.client(db=0) as broker:
        messages = [json.loads(each) for each in broker.lrange("bulk", 0, -1)]
    assert sorted(each["headers"]["id"] for each in messages) == sorted(ids)


def test_a_fork_that_python_does_not_hear_of_is_refused(run: Callable[..., Any]) -> None:
    first, in_child, then = run(_UNNOTICED, "multiplexed")
    assert (first, then) == ("ann", "ann")
    assert re.match("StoreUnavailableError: .*py-call-osafterfork", in_child)
