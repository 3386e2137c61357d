"""Memory of sessions and checkpoints in the server: differences of `used_memory` over many of them."""

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.json_text import as_json
from agent_runtime.manager.new_ids import new_checkpoint_id
from benchmarks.bench import Bench, new_manager
from benchmarks.calls import AGENT, Item, in_groups, live, new_items
from benchmarks.talk import checkpoint_of, conversation, talk
from benchmarks.timing import Result

_TURNS = 50
_CHECKPOINTS = 10
_AIM_SESSION, _AIM_CONVERSATION = 3.0, 1 / 15
_FAR_MS = 4_102_444_800_000
#: Pause between two looks at the memory, seconds, and most looks. Looking ends when the memory stays the same
#: (connections give buffers back).
_LOOK_SECONDS, _MOST_LOOKS = 0.05, 100

#: Writes something into an empty store.
_Fill = Callable[[], Awaitable[None]]


async def memory_cases(bench: Bench) -> AsyncIterator[Result]:
    """Yield results for bare sessions, checkpoints, and whole conversations."""
    for per_user in (10, 1):
        yield await _bare_sessions(bench, per_user)
    for name, size in (("400 B", 400), ("2 KB", 2_048)):
        yield await _checkpoints(bench, name, conversation(size))
    yield await _conversations(bench)


async def _bare_sessions(bench: Bench, per_user: int) -> Result:
    """Measure sessions without metadata and checkpoints."""
    items = new_items(bench.keys, bench.sizes.memory_sessions, per_user)

    async def ours() -> None:
        await bench.manager.create_sessions({"user_id": item.user, "agent_id": AGENT} for item in items)

    async def raw(*, expires: bool = True) -> None:
        with bench.server.client.pipeline(transaction=False) as pipeline:
            for item in items:
                fields = {"user": item.user, "agent": AGENT, "created": _FAR_MS * 1_000, "expires": _FAR_MS}
                pipeline.hset(item.session, mapping=fields | {"size": 0})
                if expires:
                    pipeline.pexpireat(item.session, _FAR_MS)
            pipeline.execute()

    result = await _compared(bench, f"a bare session, {per_user} of each user", ours, raw, len(items))
    immortal = await _grown(bench, partial(raw, expires=False))
    details = {"raw bytes without a time to live": round(immortal / len(items))} | result.details
    return result._replace(
        against="the same fields in one hash that expires", aim=_AIM_SESSION, details=details
    )


async def _checkpoints(bench: Bench, name: str, data: dict[str, Any]) -> Result:
    """Measure checkpoints without the session itself."""
    items = new_items(bench.keys, bench.sizes.memory_sessions // _CHECKPOINTS)

    async def ours() -> None:
        await live()(bench, items)
        for _ in range(_CHECKPOINTS):
            await in_groups(lambda item: bench.manager.save_checkpoint(item.session_id, data), items)

    async def raw() -> None:
        _write_plain(bench.server.client, {item.raw: [as_json(data)] * _CHECKPOINTS for item in items})

    without = await _grown(bench, partial(live(), bench, items))
    count = len(items) * _CHECKPOINTS
    result = await _compared(bench, f"a checkpoint of {name}", ours, raw, count, less=without)
    return result._replace(against="plain JSON in a hash of the session")


async def _conversations(bench: Bench) -> Result:
    """Measure conversations with a checkpoint for each turn that holds the history up to it. The session
    counts too."""
    items = new_items(bench.keys, bench.sizes.memory_talks)
    talks = [talk(_TURNS, begin) for begin in range(len(items))]

    async def ours() -> None:
        for turn in range(1, _TURNS + 1):
            await in_groups(partial(_save_turn, bench.manager, turn), list(zip(items, talks, strict=True)))

    async def filled() -> None:
        await live()(bench, items)
        await ours()

    async def raw() -> None:
        plain = {item.raw: _plain_turns(history) for item, history in zip(items, talks, strict=True)}
        _write_plain(bench.server.client, plain)

    case = f"a conversation of {_TURNS} turns, a checkpoint for each"
    result = await _compared(bench, case, filled, raw, len(items))
    details = {"bytes as plain JSON": sum(map(len, _plain_turns(talks[0])))}
    details |= result.details | {"bytes by turn": await _by_turn(bench, talks[0])}
    return result._replace(
        against="plain JSON in a hash of the session", aim=_AIM_CONVERSATION, details=details
    )


async def _save_turn(manager: SessionManager, turn: int, entry: tuple[Item, list[dict[str, str]]]) -> None:
    item, history = entry
    await manager.save_checkpoint(item.session_id, checkpoint_of(history, turn))


def _plain_turns(history: list[dict[str, str]]) -> list[bytes]:
    return [as_json(checkpoint_of(history, turn)) for turn in range(1, _TURNS + 1)]


def _write_plain(client: redis.Redis, texts: dict[bytes, list[bytes]]) -> None:
    for key, values in texts.items():
        client.hset(key, mapping={new_checkpoint_id(): text for text in values})
        client.pexpireat(key, _FAR_MS)


async def _by_turn(bench: Bench, history: list[dict[str, str]]) -> dict[str, list[int]]:
    """Return the memory of one conversation after each turn, as the server reports it of the keys."""
    client = bench.server.client
    taken: dict[str, list[int]] = {}
    async with new_manager(bench.server, dedupe_above_bytes=1 << 30) as whole:
        for name, manager in (("shared chunks", bench.manager), ("each compressed", whole)):
            bench.server.clean()
            [item] = new_items(bench.keys, 1)
            await live()(bench, [item])
            taken[name] = []
            for turn in range(1, _TURNS + 1):
                await _save_turn(manager, turn, (item, history))
                taken[name].append(_usage(client, [item.session, item.checkpoints, item.order]))
    bench.server.clean()
    taken["plain JSON"] = []
    for text in _plain_turns(history):
        client.hset(item.raw, new_checkpoint_id(), text)
        taken["plain JSON"].append(_usage(client, [item.raw]))
    bench.server.clean()
    return taken


async def _compared(bench: Bench, case: str, ours: _Fill, raw: _Fill, count: int, *, less: int = 0) -> Result:
    """Measure the bytes of each of `count` items. `less` is subtracted from our total."""
    our_bytes, raw_bytes = [], []
    for _ in range(bench.sizes.bulk_rounds):
        raw_bytes.append(await _grown(bench, raw) / count)
        our_bytes.append((await _grown(bench, ours) - less) / count)
    keys = list(bench.server.client.scan_iter(match=bench.keys.prefix + b"*", count=1_000))
    details = {
        "bytes": round(statistics.median(our_bytes)),
        "raw bytes": round(statistics.median(raw_bytes)),
        "bytes by MEMORY USAGE of all keys": round((_usage(bench.server.client, keys) - less) / count),
    }
    bench.server.clean()
    return Result(case, "", raw_bytes, our_bytes, unit="bytes", details=details)


async def _grown(bench: Bench, fill: _Fill) -> int:
    """Return the bytes by which the server's memory grew."""
    bench.server.clean()
    before = _settled_memory(bench.server.client)
    await fill()
    return _settled_memory(bench.server.client) - before


def _settled_memory(client: redis.Redis) -> int:
    seen = [-1]
    while len(seen) < _MOST_LOOKS:
        seen.append(int(client.info("memory")["used_memory"]))
        if seen[-1] == seen[-2]:
            break
        time.sleep(_LOOK_SECONDS)
    return seen[-1]


def _usage(client: redis.Redis, keys: list[bytes]) -> int:
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.memory_usage(key, samples=0)
    return sum(size or 0 for size in pipeline.execute())
