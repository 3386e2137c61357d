"""Every call on one session or one user, against raw redis-py."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import redis.asyncio as aredis

from agent_runtime.manager import Session, SessionManager
from agent_runtime.manager.json_text import as_json
from agent_runtime.manager.keys import INDEX_LINGER_MS, Keys
from agent_runtime.manager.new_ids import new_session_id
from agent_runtime.manager.transport.script import load_script
from benchmarks.bench import MAX_SESSIONS, Bench
from benchmarks.calls import AGENT, METADATA, Case, Item, live, measure, new_items, saved
from benchmarks.populate import Populated, populate
from benchmarks.talk import conversation
from benchmarks.timing import Result

_TTL_MS, _FAR_MS = 3_600_000, 4_102_444_800_000
_LISTED = 100
_CHECKPOINTS = 10
_CREATE = load_script("sessions/create_sessions")

#: Sizes of checkpoints, the number of average calls that one takes, and whether 1,000 at a time are too many.
_SIZES = {"400 B": (400, 1), "2 KB": (2_048, 1), "50 KB": (51_200, 5), "1 MB": (1_048_576, 60)}


async def call_cases(bench: Bench) -> AsyncIterator[Result]:
    """Yield results for every call on sessions and checkpoints."""
    await _check_raw(bench)
    for case in session_cases(bench.keys) + checkpoint_cases(bench):
        async for result in measure(bench, case):
            yield result


def session_cases(keys: Keys) -> list[Case]:
    """Return the cases of calls on sessions. Each create reads and writes the keys that `keys` names."""
    raw = _Raw(keys)
    ours = SessionManager
    several = (10, 100, 1_000)
    by_evalsha = Case(
        "create_session", _create, "EVALSHA of the same script", raw.create_by_evalsha, _script, {1: 1.0}
    )
    new = by_evalsha._replace(uses_up=True, widths=(1,))
    by_multi = {"against": "MULTI pipeline per session", "raw": raw.create_by_multi, "aims": {100: 4.7}}
    return [
        new,
        new._replace(**by_multi, widths=several),
        Case(
            "get_session",
            _of(ours.get_session),
            "HGETALL",
            raw.get,
            live(),
            {1: 1.0, 100: 2.7},
            changes=False,
        ),
        Case("session_exists", _of(ours.session_exists), "EXISTS", raw.exists, live(), changes=False),
        Case("update_session_metadata", _update, "HSET of the field", raw.update, live()),
        Case(
            "refresh_session",
            _of(ours.refresh_session),
            "MULTI of 3 PEXPIREAT and 3 ZADD",
            raw.refresh,
            live(1, conversation(400)),
        ),
        Case(
            "get_sessions_by_user, 100 sessions",
            lambda manager, item: manager.get_sessions_by_user(item.user),
            "ZRANGE, pipelined HGETALL, the same models",
            raw.list,
            _users_of_many,
            dict.fromkeys((1, *several), 2.0),
            changes=False,
            sessions_per_user=1,
            weight=10,
        ),
        Case(
            "get_active_session_count of a user",
            lambda manager, item: manager.get_active_session_count(item.user),
            "ZCOUNT",
            raw.count,
            live(),
            changes=False,
        ),
        Case(
            "delete_session with 10 checkpoints",
            _of(ours.delete_session),
            "MULTI of UNLINK and 3 ZREM",
            raw.delete,
            live(_CHECKPOINTS, conversation(400)),
            uses_up=True,
        ),
    ]


def checkpoint_cases(bench: Bench, sizes: tuple[str, ...] = tuple(_SIZES)) -> list[Case]:
    """Return the cases of `save_checkpoint` and `get_latest_checkpoint` for these sizes."""
    cases = []
    for name in sizes:
        size, weight = _SIZES[name]
        data = conversation(size)
        text = as_json(data)
        is_small = name == "2 KB"
        case = Case(
            f"save_checkpoint {name}",
            partial(_save, data),
            "SET of the same JSON",
            partial(_set, text),
            saved(),
            {1: 0.9, 100: 2.0} if is_small else {},
            # Save into sessions that have no checkpoints yet; otherwise the checkpoints would share chunks.
            uses_up=size > 4_096,
            weight=weight,
            widths=tuple(
                width for width in (1, *bench.sizes.widths) if width * size < bench.sizes.most_gathered_bytes
            ),
        )
        cases.append(case)
        if name == "50 KB":
            before = data | {"history": data["history"][:-2]}
            more = case._replace(name=f"save_checkpoint {name}, one turn more", prepare=saved(before))
            cases.append(more._replace(widths=(1, 10, 100)))
        cases.append(
            case._replace(
                name=f"get_latest_checkpoint {name}",
                ours=_of(SessionManager.get_latest_checkpoint),
                against="GET of the same JSON",
                raw=lambda client, item: client.get(item.raw),
                prepare=saved(*[data] * (3 if weight == 1 else 1), raw=text),
                aims={1: 0.9} if is_small else {},
                changes=False,
                uses_up=False,
            )
        )
    return cases


async def _check_raw(bench: Bench) -> None:
    """Fail unless the manager takes a session created by a raw client for one of its own."""
    await _script(bench, [])
    for case in session_cases(bench.keys)[:2]:
        [item] = new_items(bench.keys, 1)
        await case.raw(bench.raw, item)
        session = await bench.manager.get_session(item.session_id)
        assert session is not None
        assert (session.user_id, session.agent_id, session.metadata) == (item.user, AGENT, METADATA)
        assert len(await bench.manager.get_sessions_by_user(item.user)) == 1
        assert await bench.manager.get_active_session_count() == 1
        bench.server.clean()


async def _script(bench: Bench, items: list[Item]) -> None:
    """Load the script into the server, and nothing else."""
    bench.server.client.script_load(_CREATE.source)


def _of(method: Any) -> Any:
    return lambda manager, item: method(manager, item.session_id)


async def _create(manager: SessionManager, item: Item) -> None:
    await manager.create_session(item.user, AGENT, METADATA)


async def _update(manager: SessionManager, item: Item) -> None:
    await manager.update_session_metadata(item.session_id, {"message_count": 5})


async def _save(data: dict[str, Any], manager: SessionManager, item: Item) -> None:
    await manager.save_checkpoint(item.session_id, data)


async def _set(text: bytes, client: aredis.Redis, item: Item) -> None:
    await client.set(item.raw, text)


async def _users_of_many(bench: Bench, items: list[Item]) -> None:
    owned = [(new_session_id(item.user), item.user) for item in items for _ in range(_LISTED)]
    populate(bench.server.client, bench.keys, owned, Populated(AGENT, 0, {}))


class _Raw:
    """The same calls by plain commands: no cap, no check that a session is live, the caller's clock."""

    def __init__(self, keys: Keys) -> None:
        self._prefix = keys.prefix
        self._agent_index, self._expiry_index = keys.agent_index(AGENT), keys.expiry_index

    async def create_by_evalsha(self, client: aredis.Redis, item: Item) -> None:
        limits = (self._prefix, _TTL_MS, MAX_SESSIONS, INDEX_LINGER_MS)
        session = (item.session_id, item.user, AGENT, 14, 2, b"m:tier", b'j"premium"')
        await client.evalsha(_CREATE.sha, 1, self._expiry_index, *limits, *session)

    async def create_by_multi(self, client: aredis.Redis, item: Item) -> None:
        session = {"user": item.user, "agent": AGENT, "created": _FAR_MS, "expires": _FAR_MS, "size": 14}
        pipeline = client.pipeline(transaction=True)
        pipeline.hset(item.session, mapping=session | {"m:tier": 'j"premium"'})
        pipeline.pexpireat(item.session, _FAR_MS)
        for index, listed in self._listings(item):
            pipeline.zadd(index, {listed: _FAR_MS})
            pipeline.pexpireat(index, _FAR_MS)
        await pipeline.execute()

    async def get(self, client: aredis.Redis, item: Item) -> None:
        await client.hgetall(item.session)

    async def exists(self, client: aredis.Redis, item: Item) -> None:
        await client.exists(item.session)

    async def update(self, client: aredis.Redis, item: Item) -> None:
        await client.hset(item.session, "m:message_count", "j5")

    async def refresh(self, client: aredis.Redis, item: Item) -> None:
        pipeline = client.pipeline(transaction=True)
        for key in (item.session, item.checkpoints, item.order):
            pipeline.pexpireat(key, _FAR_MS)
        for index, listed in self._listings(item):
            pipeline.zadd(index, {listed: _FAR_MS})
        await pipeline.execute()

    async def list(self, client: aredis.Redis, item: Item) -> None:
        now = int(datetime.now(UTC).timestamp() * 1_000)
        found = await client.zrange(item.user_index, now, "+inf", byscore=True)
        pipeline = client.pipeline(transaction=False)
        for session_id in found:
            pipeline.hgetall(self._prefix + b"s:" + session_id)
        sessions = zip(found, await pipeline.execute(), strict=True)
        models = [_model(session_id.decode(), fields) for session_id, fields in sessions]
        models.sort(key=lambda session: session.created_at)
        assert len(models) == _LISTED

    async def count(self, client: aredis.Redis, item: Item) -> None:
        now = int(datetime.now(UTC).timestamp() * 1_000)
        await client.zcount(item.user_index, now, "+inf")

    async def delete(self, client: aredis.Redis, item: Item) -> None:
        pipeline = client.pipeline(transaction=True)
        pipeline.unlink(item.session, item.checkpoints, item.order)
        for index, listed in self._listings(item):
            pipeline.zrem(index, listed)
        await pipeline.execute()

    def _listings(self, item: Item) -> tuple[tuple[bytes, str], ...]:
        return (
            (item.user_index, item.session_id),
            (self._agent_index, item.session_id),
            (self._expiry_index, item.member),
        )


def _model(session_id: str, fields: dict[bytes, bytes]) -> Session:
    metadata = {
        name[2:].decode(): json.loads(value[1:]) for name, value in fields.items() if name.startswith(b"m:")
    }
    return Session(
        session_id=session_id,
        user_id=fields[b"user"].decode(),
        agent_id=fields[b"agent"].decode(),
        created_at=datetime.fromtimestamp(int(fields[b"created"]) / 1e6, UTC),
        expires_at=datetime.fromtimestamp(int(fields[b"expires"]) / 1e3, UTC),
        metadata=metadata,
    )
