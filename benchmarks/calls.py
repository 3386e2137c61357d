"""A case: one call of the manager, measured in turn with the code of a careful user of raw redis-py."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from typing import Any, NamedTuple

import redis.asyncio as aredis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.new_ids import new_session_id
from benchmarks.bench import Bench
from benchmarks.populate import SESSIONS_PER_USER, Populated, populate
from benchmarks.timing import Result, Side, Work, alternate, calls

AGENT = "chatbot"
#: Metadata as `populate` writes it.
METADATA = {"tier": "premium"}
#: Sessions that calls cycle through, unless each call needs a session of its own.
SESSIONS = 100


class Item(NamedTuple):
    """The session that one call acts on. Names of keys are made beforehand, for raw calls."""

    session_id: str
    user: str
    session: bytes
    checkpoints: bytes
    order: bytes
    user_index: bytes
    #: Member of the expiry index.
    member: str
    #: Key that a raw client uses for a value of its own.
    raw: bytes


class Case(NamedTuple):
    """One call, and its counterpart."""

    name: str
    ours: Callable[[SessionManager, Item], Awaitable[Any]]
    against: str
    raw: Callable[[aredis.Redis, Item], Awaitable[Any]]
    #: Fills an empty store with the items that the calls act on.
    prepare: Callable[[Bench, list[Item]], Awaitable[None]]
    #: Lowest ratios that count as reached, by width.
    aims: Mapping[int, float] = {}
    #: True if calls change their items, so that each round begins anew.
    changes: bool = True
    #: True if each call needs a session of its own.
    uses_up: bool = False
    sessions_per_user: int = SESSIONS_PER_USER
    #: Number of average calls that one of these calls takes.
    weight: float = 1
    #: Widths to measure, or None for all.
    widths: tuple[int, ...] | None = None


async def measure(bench: Bench, case: Case) -> AsyncIterator[Result]:
    """Yield one result for each width."""
    for width in (1, *bench.sizes.widths) if case.widths is None else case.widths:
        count = bench.count_for(width, case.weight)
        sides = await both_sides(bench, case, count, width)
        raw_seconds, our_seconds = await alternate(bench.sizes.rounds, sides)
        aim = case.aims.get(width)
        yield Result(case.name, case.against, raw_seconds, our_seconds, "s", count, width, aim)
    bench.server.clean()


async def both_sides(bench: Bench, case: Case, count: int, width: int) -> list[Side]:
    """Return the raw side and our side, with `count` calls each, in a store that holds only their items."""
    items: list[Item] = []

    async def side(call: Callable[[Item], Awaitable[Any]]) -> Work:
        if case.changes or not items:
            bench.server.clean()
            needed = count if case.uses_up else min(count, SESSIONS)
            items[:] = new_items(bench.keys, needed, case.sessions_per_user)
            await case.prepare(bench, items)
        return calls(call, list(islice(cycle(items), count)), width)

    both = partial(case.raw, bench.raw_for(width)), partial(case.ours, bench.manager)
    return [partial(side, call) for call in both]


def new_items(keys: Keys, count: int, sessions_per_user: int = SESSIONS_PER_USER) -> list[Item]:
    """Make sessions that do not exist yet."""
    return [_new_item(keys, number, f"user_{number // sessions_per_user:06d}") for number in range(count)]


def _new_item(keys: Keys, number: int, user: str) -> Item:
    session_id = new_session_id(user)
    return Item(
        session_id,
        user,
        keys.session(session_id),
        keys.checkpoints(session_id),
        keys.checkpoint_order(session_id),
        keys.user_index(user),
        f"{session_id} {len(user)} {user}{AGENT}",
        keys.prefix + b"raw:%d" % number,
    )


def live(checkpoints: int = 0, data: dict[str, Any] | None = None) -> Callable[..., Awaitable[None]]:
    """Return a function that creates every session, with so many checkpoints."""

    async def prepare(bench: Bench, items: list[Item]) -> None:
        owned = [(item.session_id, item.user) for item in items]
        populate(bench.server.client, bench.keys, owned, Populated(AGENT, checkpoints, data or {}))

    return prepare


def saved(*states: dict[str, Any], raw: bytes = b"") -> Callable[..., Awaitable[None]]:
    """Return a function that creates every session and saves these checkpoints through the manager, in order.

    Args:
        raw: the value that a raw client has instead.
    """

    async def prepare(bench: Bench, items: list[Item]) -> None:
        await live()(bench, items)
        for data in states:
            await in_groups(
                lambda item, data=data: bench.manager.save_checkpoint(item.session_id, data), items
            )
        if raw:
            bench.server.client.mset({item.raw: raw for item in items})

    return prepare


async def in_groups(call: Callable[[Any], Awaitable[Any]], items: Sequence[Any]) -> list[Any]:
    """Make the call for all items, a hundred at a time."""
    found: list[Any] = []
    for first in range(0, len(items), 100):
        found += await asyncio.gather(*map(call, items[first : first + 100]))
    return found
