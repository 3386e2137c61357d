"""What a test left behind in Redis that should not be there.

Every key has a time to live; no index lists a session that is gone (a *ghost*); no checkpoints are there
without their session (*orphans*); the chunks that checkpoints share are exactly those that they name, and are
counted so; and every session that no bulk deletion has revoked is in all three of its
indexes. Members that expired by their score and wait for a sweep are allowed.
"""

import json
import re
import time
from collections import Counter, defaultdict
from typing import Any

import redis


def find_leftovers(client: redis.Redis, namespace: str) -> list[str]:
    """One line for each thing that should not be there. `client` gives replies as bytes."""
    keys: list[bytes] = sorted(client.scan_iter(match=f"{namespace}:*", count=1000))
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.pttl(key)
    lines = [
        f"no time to live: {key!r}" for key, ttl in zip(keys, pipeline.execute(), strict=True) if ttl == -1
    ]
    by_prefix: dict[bytes, dict[bytes, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    for key in keys:
        prefix, _, rest = key.partition(b"}:")
        kind, _, name = rest.partition(b":")
        by_prefix[prefix + b"}:"][kind].append(name)
    for prefix, names in by_prefix.items():
        lines += _index_problems(client, prefix, names)
        lines += _orphans(client, prefix, names)
        for name in names[b"c"]:
            key = prefix + b"c:" + name
            if client.type(key) == b"hash":
                lines += [f"{key!r}: {line}" for line in chunk_problems(client.hgetall(key))]
    return lines


def chunk_problems(checkpoints: dict[bytes, bytes]) -> list[str]:
    """What is wrong with the chunks among the fields of a hash of checkpoints."""
    named: Counter[str] = Counter()
    for field, stored in checkpoints.items():
        if field[:1] != b"\xff" and stored[:1] == b"p":
            head = stored[1:].partition(b"\n")[0].decode()
            for stream, first, last in re.findall(r"(\w+):(\d+)(?:-(\d+))?", head):
                named.update(f"{stream}:{number}" for number in range(int(first), int(last or first) + 1))
    there = {field[1:].decode() for field in checkpoints if field[:1] == b"\xff" and field != b"\xff"}
    counted = json.loads(checkpoints.get(b"\xff", b"{}"))
    lines = [f"chunk {name} is named by no checkpoint" for name in there - named.keys()]
    lines += [f"chunk {name} is gone" for name in named.keys() - there]
    if counted != named or (b"\xff" in checkpoints) != bool(named):
        lines.append(f"chunks are counted as {counted} and named {dict(named)} times")
    return lines


def remove_namespace(client: redis.Redis, namespace: str) -> None:
    keys = list(client.scan_iter(match=f"{namespace}:*", count=1000))
    for start in range(0, len(keys), 1000):
        client.unlink(*keys[start : start + 1000])


def _index_problems(client: redis.Redis, prefix: bytes, names: dict[bytes, list[bytes]]) -> list[str]:
    sessions = {name: _session(client, prefix, name) for name in names[b"s"]}
    sessions = {name: session for name, session in sessions.items() if session["user"]}
    listed: dict[bytes, set[bytes]] = {}
    lines = []
    for kind in (b"u", b"a"):
        for owner in names[kind]:
            listed[kind + b":" + owner] = _members(client, prefix + kind + b":" + owner)
    listed[b"x"] = _members(client, prefix + b"x")
    now_ms = server_ms(client)
    for index, members in listed.items():
        lines += [
            f"ghost: {prefix + index!r} lists {member!r}, which is gone"
            for member in members
            if member.split(b" ")[0] not in sessions and not _is_due(client, prefix + index, member, now_ms)
        ]
    revoked = {
        member for job in names[b"revoked"] for member in client.zrange(prefix + b"revoked:" + job, 0, -1)
    }
    for name, session in sessions.items():
        if name in revoked or client.exists(prefix + b"s:" + name) == 0:
            continue
        packed = b"%s %d %s%s" % (name, len(session["user"]), session["user"], session["agent"])
        places = {b"u:" + session["user"]: name, b"a:" + session["agent"]: name, b"x": packed}
        lines += [
            f"lost: {prefix + index!r} does not list {member!r}"
            for index, member in places.items()
            if member not in listed.get(index, set())
        ]
    return lines


def _orphans(client: redis.Redis, prefix: bytes, names: dict[bytes, list[bytes]]) -> list[str]:
    known = set(names[b"s"])
    return [
        f"orphan: {prefix + kind + b':' + name!r} has no session"
        for kind in (b"c", b"o")
        for name in names[kind]
        # In this order: they run out in the same millisecond.
        if name not in known and client.exists(prefix + kind + b":" + name)
    ]


def _session(client: redis.Redis, prefix: bytes, name: bytes) -> dict[str, Any]:
    user, agent = client.hmget(prefix + b"s:" + name, "user", "agent")
    return {"user": user, "agent": agent}


def _members(client: redis.Redis, key: bytes) -> set[bytes]:
    return set(client.zrange(key, 0, -1))


def _is_due(client: redis.Redis, key: bytes, member: bytes, now_ms: int) -> bool:
    score = client.zscore(key, member)
    return score is None or score <= now_ms


def server_ms(client: redis.Redis) -> int:
    """The server's clock."""
    seconds, microseconds = client.time()
    return int(seconds * 1000 + microseconds // 1000)


def wait_for_server_ms(client: redis.Redis, moment_ms: int) -> None:
    """Returns once the server's clock is past that moment."""
    while (now_ms := server_ms(client)) <= moment_ms:
        time.sleep((moment_ms - now_ms + 1) / 1000)
