"""Write a hundred thousand sessions in about two seconds: one script writes the manager's keys."""

from importlib.resources import files
from itertools import chain
from typing import NamedTuple

import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.codec import checkpoint_json, packed
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.new_ids import new_session_id

_SCRIPT = (files("benchmarks") / "populate.lua").read_text()
_BATCH = 1_000

#: Lifetime of populated indexes, milliseconds.
_INDEX_LIFE_MS = 7_200_000

#: Populated sessions of one user.
SESSIONS_PER_USER = 10

Owned = list[tuple[str, str]]


class Populated(NamedTuple):
    """Contents to write for each session."""

    agent: str
    checkpoints: int
    data: dict[str, object]
    #: Time until the first session expires (each further one: 1 ms later); negative if it has expired
    #: already.
    expires_in_ms: int = 3_600_000
    #: False to write only the entries in the indexes: Redis itself drops the keys of an expired session.
    own_keys: bool = True


def new_owned(count: int) -> Owned:
    """Return session ids, each with its user."""
    users = [f"user_{number // SESSIONS_PER_USER:06d}" for number in range(count)]
    return [(new_session_id(user), user) for user in users]


def populate(client: redis.Redis, keys: Keys, owned: Owned, what: Populated) -> None:
    """Write the sessions of `owned`."""
    script = client.register_script(_SCRIPT)
    data = packed(checkpoint_json(what.data, 1 << 30), 1 << 30)
    seconds, micros = client.time()
    expires = seconds * 1000 + micros // 1000 + what.expires_in_ms
    for first in range(0, len(owned), _BATCH):
        batch = owned[first : first + _BATCH]
        settings = [keys.prefix, what.agent, expires + first, data, what.checkpoints, int(what.own_keys)]
        written = script(args=[*settings, _INDEX_LIFE_MS, *chain.from_iterable(batch)])
        assert written == len(batch)


def own_keys(keys: Keys, owned: Owned, checkpoints: int) -> list[bytes]:
    """Return the keys of the sessions themselves, without the indexes."""
    makers = [keys.session]
    if checkpoints:
        makers += [keys.checkpoints, keys.checkpoint_order]
    return [make(session_id) for session_id, _ in owned for make in makers]


async def check_populated(manager: SessionManager, owned: Owned, what: Populated) -> None:
    """Fail unless the manager takes the populated sessions for its own."""
    assert await manager.get_active_session_count() == len(owned)
    for session_id, user in (owned[0], owned[-1]):
        session = await manager.get_session(session_id)
        assert session is not None
        assert (session.user_id, session.agent_id) == (user, what.agent)
        assert session.metadata == {"tier": "premium"}
        saved = await manager.list_checkpoints(session_id)
        assert [checkpoint["data"] for checkpoint in saved] == [what.data] * what.checkpoints
        assert await manager.session_exists(session_id)
        assert session_id in {session.session_id for session in await manager.get_sessions_by_user(user)}
