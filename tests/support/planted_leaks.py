"""Not collected by itself: `test_nothing_left_behind.py` runs it and expects a report of each leak."""

import pytest
import redis

PLANTED = {
    "immortal": (["SET", "{p}anything", "1"],),
    "ghost_of_user": (["ZADD", "{p}u:ann", "9e15", "sess_gone"], ["EXPIRE", "{p}u:ann", "60"]),
    "ghost_of_agent": (["ZADD", "{p}a:bot", "9e15", "sess_gone"], ["EXPIRE", "{p}a:bot", "60"]),
    "ghost_of_expiry": (["ZADD", "{p}x", "9e15", "sess_gone 3 annbot"], ["EXPIRE", "{p}x", "60"]),
    "lost": (["HSET", "{p}s:sess_1", "user", "ann", "agent", "bot"], ["EXPIRE", "{p}s:sess_1", "60"]),
}

#: What nobody should complain of: an index member that is past its time and not yet swept.
ALLOWED = (["ZADD", "{p}u:ann", "1", "sess_gone"], ["EXPIRE", "{p}u:ann", "60"])


def plant(client: redis.Redis, namespace: str, commands: tuple[list[str], ...]) -> None:
    for command in commands:
        client.execute_command(*(part.replace("{p}", f"{namespace}:{{0}}:") for part in command))


@pytest.mark.parametrize("kind", PLANTED)
def test_planted(raw: redis.Redis, namespace: str, kind: str) -> None:
    plant(raw, namespace, PLANTED[kind])


def test_allowed(raw: redis.Redis, namespace: str) -> None:
    plant(raw, namespace, ALLOWED)
