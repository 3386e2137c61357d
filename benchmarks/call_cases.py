"""Calls on one session: create, get, save, latest."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from itertools import cycle, islice
from typing import Any

import redis.asyncio as aredis

from benchmarks.bench import Bench, as_json, conversation
from benchmarks.populate import Owned, Populated, new_owned, populate
from benchmarks.timing import Comparison, Side, Work, alternate, calls
from manager.keys import INDEX_LINGER_MS, Keys
from manager.script_source import load_script

_TTL_MS = 3_600_000
_METADATA = {"tier": "premium"}
_AGENT = "chatbot"
#: Sessions that reads and writes go round.
_SESSIONS = 100
_LATEST_OF = 3

_CREATE_SCRIPT = load_script("create_session")

#: Writes a session that `create_session` would, with a raw client.
_BareCreate = Callable[[aredis.Redis, Keys, tuple[str, str]], Awaitable[None]]


async def create_cases(bench: Bench) -> AsyncIterator[Comparison]:
    """`create_session` with one metadata field."""
    yield (await _create(bench, 1, {"EVALSHA of the same script": _create_by_evalsha}, aim=None))[0]
    bares: dict[str, _BareCreate] = {
        "MULTI pipeline per session": partial(_create_by_multi, index_ttls=True),
        "MULTI without TTLs on indexes": partial(_create_by_multi, index_ttls=False),
    }
    for width in bench.sizes.widths:
        for compared in await _create(bench, width, bares, aim=2.5):
            yield compared


async def get_cases(bench: Bench) -> AsyncIterator[Comparison]:
    """`get_session` with one metadata field."""
    owned = new_owned(_SESSIONS)
    populate(bench.server.client, bench.keys, owned, Populated(_AGENT, 0, {}))
    sessions = [session_id for session_id, _ in owned]
    hashes = [bench.keys.session(session_id) for session_id in sessions]
    for width in (1, *bench.sizes.widths):
        raw = _going_round(bench, width, bench.raw_for(width).hgetall, hashes)
        ours = _going_round(bench, width, bench.manager.get_session, sessions)
        yield await _compared(bench, f"get_session, {_named(width)}", "HGETALL", width, raw, ours)
    bench.server.clean()


async def checkpoint_cases(bench: Bench) -> AsyncIterator[Comparison]:
    """`save_checkpoint` and `get_latest_checkpoint`."""
    for size, name in ((400, "400 B"), (2_048, "2 KB")):
        for width in (1, 100):
            yield await _save(bench, size, f"save_checkpoint {name}, {_named(width)}", width)
    for width in (1, 100):
        yield await _latest(bench, 2_048, f"get_latest_checkpoint 2 KB, {_named(width)}", width)


async def _create(
    bench: Bench, width: int, bares: dict[str, _BareCreate], aim: float | None
) -> list[Comparison]:
    """One comparison for each raw counterpart; `aim` is for the first."""
    count = _count(bench, width)
    raw_keys = Keys(f"{bench.server.namespace}:raw", 0)
    await bench.raw.script_load(_CREATE_SCRIPT.source)

    async def ours() -> Work:
        async def create(owned: tuple[str, str]) -> None:
            await bench.manager.create_session(owned[1], _AGENT, _METADATA)

        return calls(create, new_owned(count), width)

    def bare_side(bare: _BareCreate) -> Side:
        async def side() -> Work:
            return calls(partial(bare, bench.raw_for(width), raw_keys), new_owned(count), width)

        return side

    sides = [ours, *map(bare_side, bares.values())]
    our_seconds, *raw_seconds = await alternate(bench.sizes.rounds, sides)
    bench.server.clean()
    case = f"create_session, {_named(width)}"
    return [
        Comparison(case, against, "calls", count, raw, our_seconds, None if place else aim)
        for place, (against, raw) in enumerate(zip(bares, raw_seconds, strict=True))
    ]


async def _create_by_evalsha(client: aredis.Redis, keys: Keys, owned: tuple[str, str]) -> None:
    session_id, user = owned
    places = (keys.session(session_id), keys.user_index(user), keys.agent_index(_AGENT), keys.expiry_index)
    args = (session_id, user, _AGENT, _TTL_MS, 10_000_000, INDEX_LINGER_MS, 14, b"m:tier", b'j"premium"')
    await client.evalsha(_CREATE_SCRIPT.sha, len(places), *places, *args)


async def _create_by_multi(
    client: aredis.Redis, keys: Keys, owned: tuple[str, str], *, index_ttls: bool
) -> None:
    """The same keys by plain commands: no cap, and the caller's clock."""
    session_id, user = owned
    expires = 4_102_444_800_000
    session = {"user": user, "agent": _AGENT, "created": expires, "expires": expires, "size": 14}
    member = f"{session_id} {len(user)} {user}{_AGENT}"
    pipeline = client.pipeline(transaction=True)
    pipeline.hset(keys.session(session_id), mapping=session | {"m:tier": 'j"premium"'})
    pipeline.pexpireat(keys.session(session_id), expires)
    indexes = (keys.user_index(user), session_id), (keys.agent_index(_AGENT), session_id)
    for index, listed in (*indexes, (keys.expiry_index, member)):
        pipeline.zadd(index, {listed: expires})
        if index_ttls:
            pipeline.pexpireat(index, expires)
    await pipeline.execute()


async def _save(bench: Bench, size: int, case: str, width: int) -> Comparison:
    owned = _populated(bench, {}, checkpoints=0)
    data = conversation(size)
    text = as_json(data)
    places = [bench.keys.prefix + b"raw:%d" % number for number in range(_SESSIONS)]

    async def save(session_id: str) -> None:
        await bench.manager.save_checkpoint(session_id, data)

    async def write(place: bytes) -> None:
        await bench.raw_for(width).set(place, text)

    raw = _going_round(bench, width, write, places)
    ours = _going_round(bench, width, save, [session_id for session_id, _ in owned])
    compared = await _compared(bench, case, "SET of the same JSON", width, raw, ours)
    bench.server.clean()
    return compared


async def _latest(bench: Bench, size: int, case: str, width: int) -> Comparison:
    data = conversation(size)
    sessions = [session_id for session_id, _ in _populated(bench, {}, checkpoints=0)]
    for session_id in sessions * _LATEST_OF:
        await bench.manager.save_checkpoint(session_id, data)
    places = [bench.keys.prefix + b"raw:%d" % number for number in range(_SESSIONS)]
    bench.server.client.mset(dict.fromkeys(places, as_json(data)))
    raw = _going_round(bench, width, bench.raw_for(width).get, places)
    ours = _going_round(bench, width, bench.manager.get_latest_checkpoint, sessions)
    compared = await _compared(bench, case, "GET of the same JSON", width, raw, ours)
    bench.server.clean()
    return compared


def _populated(bench: Bench, data: dict[str, object], checkpoints: int) -> Owned:
    owned = new_owned(_SESSIONS)
    populate(bench.server.client, bench.keys, owned, Populated(_AGENT, checkpoints, data))
    return owned


def _going_round(bench: Bench, width: int, call: Any, items: list[Any]) -> Side:
    some = list(islice(cycle(items), _count(bench, width)))

    async def side() -> Work:
        return calls(call, some, width)

    return side


async def _compared(bench: Bench, case: str, against: str, width: int, raw: Side, ours: Side) -> Comparison:
    raw_seconds, our_seconds = await alternate(bench.sizes.rounds, [raw, ours])
    return Comparison(case, against, "calls", _count(bench, width), raw_seconds, our_seconds)


def _count(bench: Bench, width: int) -> int:
    return bench.sizes.sequential_calls if width == 1 else bench.sizes.gathered_calls


def _named(width: int) -> str:
    return "in turn" if width == 1 else f"{width:,} gathered"
