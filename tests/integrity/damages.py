"""Each kind of damage that a store can take, planted directly in Redis."""

from collections.abc import Callable
from typing import Any, NamedTuple

import redis

from agent_runtime.manager import Session, SessionManager
from agent_runtime.manager.integrity import Finding
from agent_runtime.manager.keys import Keys
from tests.support.sessions import create_sessions, save_turns

#: Milliseconds since 1970, in the far future.
FAR_MS = 4_000_000_000_000


class Damaged(NamedTuple):
    """Two sessions of ann with bot. One has metadata and three checkpoints, the first one pinned."""

    manager: SessionManager
    raw: redis.Redis
    session: Session
    ids: list[str]
    other: Session

    @property
    def keys(self) -> Keys:
        return self.manager._context.partitions.home

    @property
    def s(self) -> bytes:
        return self.keys.session(self.session.session_id)

    @property
    def c(self) -> bytes:
        return self.keys.checkpoints(self.session.session_id)

    @property
    def o(self) -> bytes:
        return self.keys.checkpoint_order(self.session.session_id)

    @property
    def u(self) -> bytes:
        return self.keys.user_index("ann")

    @property
    def a(self) -> bytes:
        return self.keys.agent_index("bot")

    @property
    def x(self) -> bytes:
        return self.keys.expiry_index

    @property
    def member(self) -> str:
        """Return the session's member of the expiry index."""
        return f"{self.session.session_id} 3 annbot"

    @property
    def expires_ms(self) -> int:
        return round(self.session.expires_at.timestamp() * 1000)

    async def assert_intact(self, *, session_is_lost: bool, checkpoints: int) -> None:
        """Assert that everything readable still is, and that nothing else has become readable."""
        assert await self.manager.get_session(self.other.session_id) == self.other
        if session_is_lost:
            assert await self.manager.get_session(self.session.session_id) is None
            assert not self.raw.exists(self.s, self.c, self.o)
            assert await self.manager.get_active_session_count() == 1
            return
        assert await self.manager.get_session(self.session.session_id) == self.session
        assert len(await self.manager.list_checkpoints(self.session.session_id)) == checkpoints
        assert await self.manager.get_active_session_count() == 2
        assert await self.manager.get_sessions_by_user("ann") == [self.session, self.other]
        assert await self.manager.pinned_checkpoints(self.session.session_id) == self.ids[:1]


class Planted(NamedTuple):
    """A kind of damage, and the findings of a scrub."""

    name: str
    plant: Callable[[Damaged], Any]
    #: Damage and kind of key of each finding.
    told: set[tuple[str, str]]
    session_is_lost: bool = False
    checkpoints_left: int = 3


async def damaged_store(manager: SessionManager, raw: redis.Redis) -> Damaged:
    """Create the store that damage is planted in."""
    session = await manager.create_session("ann", "bot", {"tier": "premium", "größe": [1, {"a": None}]})
    [other] = await create_sessions(manager, 1)
    await save_turns(manager, other.session_id, 2)
    ids = await save_turns(manager, session.session_id, 3)
    await manager.pin_checkpoint(session.session_id, ids[0])
    return Damaged(manager, raw, session, ids, other)


async def findings(manager: SessionManager, *, repair: bool = False) -> list[Finding]:
    """Return all findings of a scrub."""
    return [finding async for finding in manager.scrub(repair=repair)]


def _retyped(key: str) -> Callable[[Damaged], Any]:
    return lambda at: at.raw.set(getattr(at, key), "of another type", ex=600)


def _add(key: str, member: str, score: float = FAR_MS) -> Callable[[Damaged], Any]:
    def plant(at: Damaged) -> None:
        at.raw.zadd(getattr(at, key), {member: score})
        at.raw.pexpireat(getattr(at, key), FAR_MS + 100_000_000)

    return plant


def _unmend(at: Damaged) -> None:
    at.raw.delete(at.s)


def _lose_index(at: Damaged) -> None:
    at.raw.zrem(at.a, at.session.session_id)


def _add_foreign(at: Damaged) -> None:
    index = at.keys.user_index("eve")
    at.raw.zadd(index, {at.session.session_id: at.expires_ms})
    at.raw.pexpireat(index, at.expires_ms)


MENDED = [
    Planted("pins too many", lambda at: at.raw.hset(at.s, "pins", 7), {("pins", "s")}),
    Planted("pins too few", lambda at: at.raw.hset(at.s, "pins", 0), {("pins", "s")}),
    Planted("size", lambda at: at.raw.hset(at.s, "size", 99_999), {("size", "s")}),
    Planted(
        "score of user", lambda at: at.raw.zincrby(at.u, -5_000, at.session.session_id), {("expiry", "u")}
    ),
    Planted("not in the expiry index", lambda at: at.raw.zrem(at.x, at.member), {("unlisted", "x")}),
    Planted("order without data", lambda at: at.raw.hdel(at.c, at.ids[1]), {("checkpoints", "o")}, False, 2),
    Planted("pins no number", lambda at: at.raw.hset(at.s, "pins", "some"), {("pins", "s")}),
    Planted("pin of no checkpoint", lambda at: at.raw.hset(at.s, "p:ckpt_gone", 1), {("pins", "s")}),
    Planted("no size", lambda at: at.raw.hdel(at.s, "size"), {("size", "s")}),
    Planted("no expiry", lambda at: at.raw.hdel(at.s, "expires"), {("corrupt", "s")}),
    Planted("expiry no number", lambda at: at.raw.hset(at.s, "expires", "soon"), {("corrupt", "s")}),
    Planted("data without order", lambda at: at.raw.zrem(at.o, at.ids[1]), {("checkpoints", "c")}, False, 2),
    Planted("stray data", lambda at: at.raw.hset(at.c, "ckpt_stray", "j{}"), {("checkpoints", "c")}),
    Planted(
        "score of agent", lambda at: at.raw.zincrby(at.a, -5_000, at.session.session_id), {("expiry", "a")}
    ),
    Planted(
        "score in the expiry index", lambda at: at.raw.zincrby(at.x, -5_000, at.member), {("expiry", "x")}
    ),
    Planted("session lives on", lambda at: at.raw.expire(at.s, 90_000), {("expiry", "s")}),
    Planted("session goes early", lambda at: at.raw.expire(at.s, 60), {("expiry", "s")}),
    Planted("checkpoints go early", lambda at: at.raw.expire(at.c, 60), {("expiry", "c")}),
    Planted("order goes early", lambda at: at.raw.expire(at.o, 60), {("expiry", "o")}),
    Planted("index goes early", lambda at: at.raw.expire(at.u, 60), {("expiry", "u")}),
    Planted("expiry index goes early", lambda at: at.raw.expire(at.x, 60), {("expiry", "x")}),
    *(
        Planted(
            f"immortal {kind}", lambda at, kind=kind: at.raw.persist(getattr(at, kind)), {("no_ttl", kind)}
        )
        for kind in "scouax"
    ),
    Planted(
        "immortal job", lambda at: at.raw.hset(at.keys.job("job_1"), "joined", "job_2"), {("no_ttl", "job")}
    ),
    Planted(
        "immortal job history", lambda at: at.raw.zadd(at.keys.history, {"job_1": 1}), {("no_ttl", "history")}
    ),
    Planted("ghost of user", _add("u", "sess_gone"), {("ghost", "u")}),
    Planted("ghost of agent", _add("a", "sess_gone"), {("ghost", "a")}),
    Planted("ghost of expiry", _add("x", "sess_gone 3 annbot"), {("ghost", "x")}),
    Planted("no member of expiry", _add("x", "nothing"), {("ghost", "x")}),
    Planted("ghost that no sweep finds", _add("u", "sess_gone", 1_000), {("ghost", "u")}),
    Planted("session of another", _add_foreign, {("ghost", "u")}),
    Planted(
        "session is gone", _unmend, {("orphan", "c"), ("orphan", "o")} | {("ghost", k) for k in "uax"}, True
    ),
    Planted("not in the index of the agent", _lose_index, {("orphan", "s")}, True),
    Planted(
        "not in the index of the user",
        lambda at: at.raw.zrem(at.u, at.session.session_id),
        {("orphan", "s")},
        True,
    ),
]

LEFT = [
    Planted("no user", lambda at: at.raw.hdel(at.s, "user"), {("corrupt", "s")}),
    Planted("no agent", lambda at: at.raw.hdel(at.s, "agent"), {("corrupt", "s")}),
    Planted("creation no number", lambda at: at.raw.hset(at.s, "created", "once"), {("corrupt", "s")}),
    Planted(
        "metadata",
        lambda at: at.raw.hset(at.s, "m:tier", "?" * at.raw.hstrlen(at.s, "m:tier")),
        {("corrupt", "s")},
    ),
    Planted("checkpoint", lambda at: at.raw.hset(at.c, at.ids[1], "?what"), {("corrupt", "c")}),
    *(Planted(f"type of {kind}", _retyped(kind), {("wrong_type", kind)}) for kind in "coua"),
    Planted("type of s", _retyped("s"), {("wrong_type", "s")}),
    Planted("type of x", _retyped("x"), {("wrong_type", "x")}),
    Planted(
        "job record",
        lambda at: (
            at.raw.hset(at.keys.job("job_1"), "requested", 1) and at.raw.expire(at.keys.job("job_1"), 60)
        ),
        {("corrupt", "job")},
    ),
    Planted(
        "unknown key", lambda at: at.raw.set(at.keys.prefix + b"aside", 1, ex=60), {("unknown", "aside")}
    ),
]
