"""Everything that lies in one namespace, for comparison."""

import re
from typing import Any

import redis

_LEFT_OUT = re.compile(rb"\}:(answer:|layout$)")


def snapshot(client: redis.Redis, namespace: str) -> dict[bytes, Any]:
    """Each key with what it holds. Equal snapshots mean that nothing was written.

    Answers of deletions are left out: they go by themselves, in seconds, and would differ for that. So is the
    layout, which the first call of whatever kind notes.
    """
    keys = sorted(client.scan_iter(match=f"{namespace}:*", count=1000))
    return {
        key: _value(client, key) for key in keys if b"}:answer:" not in key and not key.endswith(b"}:layout")
    }


def script_calls(client: redis.Redis) -> int:
    """EVALSHA commands that the server has run."""
    return int(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


def _value(client: redis.Redis, key: bytes) -> Any:
    kind = client.type(key)
    if kind == b"hash":
        return client.hgetall(key)
    if kind == b"zset":
        return client.zrange(key, 0, -1, withscores=True)
    if kind == b"set":
        return client.smembers(key)
    return client.get(key)
