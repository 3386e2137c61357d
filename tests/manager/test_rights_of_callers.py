"""The rights that docs/security.md gives to callers are enough on every kind of server."""

from collections.abc import Iterator

import pytest
import redis

from agent_runtime.manager import SessionManager, Settings, StoreRefusedError
from tests.support.every_call import look, use_sessions
from tests.support.redis_server import RedisServer
from tests.support.rights import create_user, rights_in

_CALLER = "agent-sessions-caller"


@pytest.fixture
def user(raw: redis.Redis, namespace: str) -> Iterator[str]:
    """A caller of this test."""
    name = f"caller-{namespace}"
    create_user(raw, name, rights_in()[_CALLER], namespace)
    yield name
    raw.acl_deluser(name)


def _settings(server: RedisServer, user: str, namespace: str) -> Settings:
    url = server.url().replace("redis://", f"redis://{user}:CHANGE-ME@")
    return Settings(redis_url=url, namespace=namespace, max_checkpoints=4)


async def test_a_caller_with_these_rights_can_call_everything(
    server: RedisServer, user: str, namespace: str, raw: redis.Redis
) -> None:
    raw.script_flush()
    async with SessionManager.from_settings(_settings(server, user, namespace)) as manager:
        await use_sessions(manager)
        await look(manager)


async def test_a_caller_sees_nothing_of_another_namespace(
    server: RedisServer, user: str, namespace: str
) -> None:
    async with SessionManager.from_settings(_settings(server, user, "another")) as manager:
        with pytest.raises(StoreRefusedError, match=r"docs/security\.md"):
            await manager.get_session("sess_1")


async def test_a_right_that_is_missing_is_named_with_the_page(
    server: RedisServer, user: str, namespace: str, raw: redis.Redis
) -> None:
    raw.execute_command("ACL", "SETUSER", user, "-hset")
    async with SessionManager.from_settings(_settings(server, user, namespace)) as manager:
        with pytest.raises(
            StoreRefusedError, match=r"create_sessions\.lua .* HSET, .*docs/security\.md"
        ) as caught:
            await manager.create_session("ann", "bot")
    assert "CHANGE-ME" not in str(caught.value)
