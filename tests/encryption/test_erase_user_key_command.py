"""`agent-sessions erase-user-key`, run as a command."""

from collections.abc import Callable
from typing import Any

import pytest

from agent_runtime.manager import SessionManager
from tests.support.cli import run_cli, run_on_terminal
from tests.support.encryption import check_erased, check_readable, key_ring, talk
from tests.support.redis_server import RedisServer, free_port

Opener = Callable[..., SessionManager]


@pytest.fixture
def keyed(server: RedisServer, key_server: RedisServer, namespace: str) -> dict[str, Any]:
    return {
        "redis_url": server.url(),
        "namespace": namespace,
        "encryption_keys": key_ring("k1"),
        "user_keys_url": key_server.url(),
    }


async def test_it_asks_and_erases(open_keyed: Opener, keyed: dict[str, Any]) -> None:
    manager = open_keyed()
    session_id = await talk(manager)

    refused = run_cli("erase-user-key", "ann", **keyed)
    assert (refused.status, "pass --yes" in refused.err) == (3, True)
    no = run_on_terminal("erase-user-key", "ann", when="Continue?", types=b"n\n", **keyed)
    assert (no.status, "1 active session" in no.out, "nothing was changed" in no.out) == (3, True, True)
    await check_readable(manager, session_id)

    yes = run_on_terminal("erase-user-key", "ann", when="Continue?", types=b"y\n", **keyed)
    assert (yes.status, "Erased" in yes.out) == (0, True)
    await check_erased(manager, session_id)
    again = run_cli("erase-user-key", "ann", "--yes", "--json", **keyed)
    assert (again.status, again.document()) == (0, {"user_id": "ann", "erased": False})


def test_what_is_missing_is_named(keyed: dict[str, Any]) -> None:
    without = {name: value for name, value in keyed.items() if name != "user_keys_url"}
    run = run_cli("erase-user-key", "ann", "--yes", **without)
    assert (run.status, "AGENT_SESSIONS_USER_KEYS_URL is not set" in run.err) == (2, True)
    down = {**keyed, "user_keys_url": f"redis://127.0.0.1:{free_port()}/0"}
    run = run_cli("erase-user-key", "ann", "--yes", **down)
    assert run.status == 1
    assert "the server of AGENT_SESSIONS_USER_KEYS_URL" in run.err
    assert "AGENT_SESSIONS_REDIS_URL" not in run.err
