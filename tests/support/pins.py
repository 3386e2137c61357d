"""How pins lie in Redis."""

import redis


def stored_pins(raw: redis.Redis, namespace: str, session_id: str) -> set[str]:
    """Ids of the pinned checkpoints; fails where their number or the checkpoints themselves do not fit."""
    prefix = f"{namespace}:{{0}}:"
    fields = raw.hgetall(f"{prefix}s:{session_id}")
    pinned = {name[2:] for name in fields if name.startswith(b"p:")}
    assert int(fields.get(b"pins", 0)) == len(pinned)
    order = set(raw.zrange(f"{prefix}o:{session_id}", 0, -1))
    assert set(raw.hkeys(f"{prefix}c:{session_id}")) == order
    assert pinned <= order
    return {each.decode() for each in pinned}
