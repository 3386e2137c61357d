"""Keys for tests, sessions to seal, and every value that lies in Redis."""

import base64
import hashlib
import json

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.errors import DecryptionError


def key_ring(*key_ids: str) -> str:
    """A value of `encryption_keys`, with the same key for the same id each time."""
    return json.dumps({key_id: base64.b64encode(secret_of(key_id)).decode() for key_id in key_ids})


def secret_of(key_id: str) -> bytes:
    return hashlib.sha256(key_id.encode()).digest()


def stored_values(client: redis.Redis, namespace: str) -> dict[tuple[bytes, bytes], bytes]:
    """Every value of metadata, every checkpoint and every chunk, by its key and field."""
    found: dict[tuple[bytes, bytes], bytes] = {}
    for key in client.scan_iter(match=f"{namespace}:*", count=1000):
        kind = key.partition(b"}:")[2][:2]
        if kind in (b"s:", b"c:"):
            fields = client.hgetall(key)
            fields.pop(b"\xff", None)  # how often checkpoints name each chunk
            for name, value in fields.items():
                if kind == b"c:":  # behind the list of chunks, where it has one
                    found[key, name] = value.partition(b"\n")[2] if value[:1] == b"p" else value
                elif name[:2] == b"m:":
                    found[key, name] = value
    return found


async def talk(manager: SessionManager, user_id: str = "ann") -> str:
    """A session with metadata and two checkpoints; its id."""
    session = await manager.create_session(user_id, "bot", {"topic": "Rumpelstiltskin"})
    await manager.update_session_metadata(session.session_id, {"more": 1})
    for turn in range(2):
        await manager.save_checkpoint(session.session_id, {"turn": turn})
    return session.session_id


async def check_readable(manager: SessionManager, session_id: str, user_id: str = "ann") -> None:
    """Reads all of what `talk` wrote."""
    found = await manager.get_session(session_id)
    assert found is not None
    assert found.metadata == {"topic": "Rumpelstiltskin", "more": 1}
    assert found in await manager.get_sessions_by_user(user_id)
    assert [each["data"]["turn"] for each in await manager.list_checkpoints(session_id)] == [0, 1]


async def check_erased(manager: SessionManager, session_id: str) -> None:
    """Finds the session sealed under a key that was erased."""
    with pytest.raises(DecryptionError, match=f"s:{session_id}.* its user's key [0-9a-f]{{32}} was erased"):
        await manager.get_session(session_id)
    with pytest.raises(DecryptionError, match=f"c:{session_id}.* its user's key [0-9a-f]{{32}} was erased"):
        await manager.get_latest_checkpoint(session_id)
