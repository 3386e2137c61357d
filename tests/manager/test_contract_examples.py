"""Every example of the API reference runs as it stands, against a server on localhost:6379.

The examples lie in `contract_examples/`, unchanged. Fragments that use names they do not define get the
prelude in front; those that only define something get a few lines behind that use it.
"""

import asyncio
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.support.leftovers import find_leftovers, remove_namespace
from tests.support.redis_server import RedisServer
from tests.support.standard_port import standard_port_to_oneself

_ROOT = Path(__file__).parents[2]
_EXAMPLES = Path(__file__).parent / "contract_examples"

_PRELUDE = """
import asyncio
import redis
from src.agent_runtime.session_manager import SessionManager

redis_client = redis.Redis(host="localhost", port=6379)
"""

_USE_POOL = """
import asyncio

async def use():
    sessions = await asyncio.gather(*(session_manager.create_session(f"user_{n}", "bot") for n in range(300)))
    print(f"Created {len(sessions)} over {pool.max_connections} connections")

asyncio.run(use())
"""

_USE_BATCH = """
session_manager = SessionManager(conn=redis_client)
print(f"Created {len(asyncio.run(batch_create()))} sessions")
"""

_USE_CACHE = """
async def use():
    manager = CachedSessionManager(redis_client, 60, cache_size=5)
    session = await manager.create_session("user_123", "chatbot", {"a": 1})
    first = await manager.get_session(session.session_id)
    print(first == session, await manager.get_session(session.session_id) is first, manager.ttl)

asyncio.run(use())
"""

#: What stands before and behind each example, and what it has to print.
EXAMPLES = {
    "basic_use": ("", "", r"Created session: sess_\w+\nRetrieved: user_123"),
    "checkpoints": (_PRELUDE, "", r"Saved checkpoint: ckpt_\w+\nCheckpoint state: conversation_active"),
    "multi_turn": (_PRELUDE, "", ""),
    "session_expiry": (_PRELUDE, "", r"Immediate access: True\nAfter expiry: False"),
    "batch_operations": (_PRELUDE, "", r"Created 10 sessions\nUser 5 has 1 sessions"),
    "connection_pool": (_PRELUDE, _USE_POOL, r"Created 300 over 50 connections"),
    "batch_create": (_PRELUDE, _USE_BATCH, r"Created 100 sessions"),
    "cached_manager": (_PRELUDE, _USE_CACHE, r"True True 60"),
}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def standard_server() -> Iterator[redis.Redis]:
    """A client of whatever listens on localhost:6379; a server of our own if nothing does."""
    with standard_port_to_oneself(), ExitStack() as running:
        if not _listens(6379):
            running.enter_context(RedisServer(port=6379))
        yield running.enter_context(redis.Redis())


async def _run(name: str, namespace: str) -> tuple[int | None, str, str]:
    before, behind, _ = EXAMPLES[name]
    script = before + (_EXAMPLES / f"{name}.py").read_text() + behind
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", script),
        cwd=_ROOT,
        env=os.environ | {"AGENT_SESSIONS_NAMESPACE": namespace},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode().strip(), err.decode()


def test_every_example_is_run() -> None:
    assert {path.stem for path in _EXAMPLES.glob("*.py")} == EXAMPLES.keys()


@pytest.mark.timeout(180)
async def test_every_example_of_the_contract_runs_as_it_stands(
    standard_server: redis.Redis, namespace: str
) -> None:
    """All at once, since one of them waits for 61 s; each in a namespace of its own."""
    runs = await asyncio.gather(*(_run(name, f"{namespace}-{name}") for name in EXAMPLES))
    for (name, (_, _, pattern)), (status, out, err) in zip(EXAMPLES.items(), runs, strict=True):
        assert (status, err) == (0, ""), name
        assert re.fullmatch(pattern, out), f"{name}: {out}"
        assert find_leftovers(standard_server, f"{namespace}-{name}") == [], name
        remove_namespace(standard_server, f"{namespace}-{name}")
