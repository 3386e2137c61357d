"""The base of all rules: the managers, the model, and the check of everything after each step."""

import asyncio
import functools
import itertools
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import hypothesis.strategies as st
import redis
import redis.asyncio as aredis
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from agent_runtime.manager import CachedSessionManager, Session, SessionManager, Settings
from agent_runtime.manager.keys import Partitions
from tests.model.jobs import JobModel
from tests.model.model import NOT_KNOWN, Limits, ModelCheckpoint, ModelSession
from tests.model.stored import Inspector, differences
from tests.support.leftovers import find_leftovers
from tests.support.redis_server import RedisServer

NAMESPACE = "model"

#: One user for each of three partitions, and names that could be mistaken for parts of an index's members.
USERS = ["ann", "bob", "zoë ß 3"]
AGENTS = ["bot", "bot 2"]

#: Times to live of the managers, seconds. One of them shortens the lives that the others give.
_TTLS = (3_600, 1_800, 7_200)
CACHED = 2
_HASTY_TTL = 0.002
MAX_METADATA_BYTES = 45

#: Draws.
MANAGER = st.integers(0, 2)
PICK = st.integers(0, 63)
USER, AGENT = st.sampled_from(USERS), st.sampled_from(AGENTS)
_VALUES: list[Any] = [0, None, "ü\n", [], {"n": [2**70, -1.5, True]}, "x" * 30, ""]
METADATA = st.dictionaries(st.sampled_from(["tier", "ß", "n"]), st.sampled_from(_VALUES), max_size=2)


class Tally:
    """Counts of what happened in a run."""

    def __init__(self) -> None:
        self.steps = 0
        self.rules: Counter[str] = Counter()
        #: Uses of the managers' methods.
        self.methods: Counter[str] = Counter()
        self.events: Counter[str] = Counter()


def step(**draws: Any) -> Callable[[Callable[..., Awaitable[None]]], Any]:
    """Make a rule: run it on the machine's event loop, count it, and check everything afterwards."""

    def made(body: Callable[..., Awaitable[None]]) -> Any:
        @functools.wraps(body)
        def run(self: "ModelBase", **drawn: Any) -> None:
            self.tally.steps += 1
            self.tally.rules[body.__name__] += 1
            self.loop.run_until_complete(self.do(body, drawn))

        return rule(**draws)(run)

    return made


class _Counted:
    """Counts the uses of a manager's methods."""

    def __getattribute__(self, name: str) -> Any:
        ModelBase.tally.methods[name] += 1
        return super().__getattribute__(name)


class _Plain(_Counted, SessionManager):
    pass


class _Cached(_Counted, CachedSessionManager):
    pass


class ModelBase(RuleBasedStateMachine):
    """Three managers on one namespace, one of which keeps copies."""

    server: ClassVar[RedisServer]
    loop: ClassVar[asyncio.AbstractEventLoop]
    tally: ClassVar[Tally]

    @initialize(
        partitions=st.sampled_from([1, 3]),
        max_sessions=st.sampled_from([5, 8, 1_000]),
        max_checkpoints=st.sampled_from([None, 2]),
    )
    def start(self, partitions: int, max_sessions: int, max_checkpoints: int | None) -> None:
        self.settings = Settings(
            redis_url=f"unix://{self.server.socket_path}",
            namespace=NAMESPACE,
            partitions=partitions,
            max_checkpoints=max_checkpoints,
            max_metadata_bytes=MAX_METADATA_BYTES,
            slice_seconds=1e-6,
            pace="full",
        )
        places = Partitions(NAMESPACE, partitions)
        partition_of = {user: places.of_user(user).number for user in USERS}
        self.model = JobModel(
            Limits(partitions, max_sessions, max_checkpoints, MAX_METADATA_BYTES), partition_of
        )
        self.model.start()
        self.raw = redis.Redis(unix_socket_path=self.server.socket_path)
        self.inspector = Inspector(self.raw, NAMESPACE)
        self.managers = [self._open(number) for number in range(3)]
        #: A manager whose sessions expire at once.
        self.hasty = SessionManager(self.raw, _HASTY_TTL, max_sessions, settings=self.settings)
        self.acting: int | None = None
        #: Start of the step.
        self.began = 0.0
        #: True if the last step ended as it should.
        self.sound = True
        #: Views that the caching manager's copies may show: those since it read the session, newest last.
        self.copies: dict[str, list[Session | None]] = {}

    def _open(self, number: int) -> SessionManager:
        kind: type[SessionManager] = _Cached if number == CACHED else _Plain
        more = {"cache_size": 3, "max_staleness": 600, "tracking": False} if number == CACHED else {}
        client = aredis.Redis if number == 1 else redis.Redis
        conn = client.from_url(self.settings.redis_url, decode_responses=number == 1)
        most = self.model.limits.max_sessions
        return kind(conn, _TTLS[number], most, settings=self.settings, **more)

    def teardown(self) -> None:
        if hasattr(self, "raw"):
            self.loop.run_until_complete(self._close())
            found = find_leftovers(self.raw, NAMESPACE) if self.sound else []
            self.raw.flushdb()
            self.raw.close()
            assert not found, "\n".join(found)

    async def _close(self) -> None:
        for manager in (*self.managers, self.hasty):
            await manager.aclose()

    def manager(self, number: int) -> SessionManager:
        """Return the manager that does this step."""
        self.acting = number
        return self.managers[number]

    def saw(self, event: str) -> None:
        self.tally.events[event] += 1

    async def do(self, body: Callable[..., Awaitable[None]], drawn: dict[str, Any]) -> None:
        self.acting, self.sound, self.began = None, False, time.time()
        await body(self, **drawn)
        self.follow_copies()
        await self._look_at_everything()
        self.sound = True

    async def _look_at_everything(self) -> None:
        plain = self.managers[0]
        counts = [plain.get_active_session_count(), *map(plain.get_active_session_count, USERS)]
        expected = [self.model.count(), *(len(self.model.live(user_id=user)) for user in USERS)]
        assert await asyncio.gather(*counts) == expected
        found = differences(self.inspector.read(), self.model)
        assert not found, "\n".join(found)

    def follow_copies(self) -> None:
        """Update the views: a manager sees its own changes at once, and the changes of others possibly
        later."""
        for session_id, views in list(self.copies.items()):
            view = self.view(session_id)
            if view != views[-1]:
                if self.acting == CACHED:
                    self.copies[session_id] = [view]
                else:
                    views.append(view)

    def view(self, session_id: str) -> Session | None:
        """Return the session as a caller who asks the server must get it."""
        session = self.model.find(session_id)
        return None if session is None else session.public()

    def expect_read(self, number: int, session_id: str, found: Session | None) -> None:
        """Check the session that a manager read."""
        truth = self.view(session_id)
        views = self.copies.get(session_id) if number == CACHED else None
        assert found in (views or [truth])
        if found != truth:
            self.saw("a copy was older than the truth")
        if number == CACHED and views is None and found is not None:
            self.copies[session_id] = [truth]
        elif number == CACHED and found is None:
            self.copies.pop(session_id, None)

    def forget_copies(self) -> None:
        """Act as if `max_staleness` had passed."""
        cached = self.managers[CACHED]
        assert isinstance(cached, CachedSessionManager)
        for session_id, copy in cached._context.reader._copies.items():
            cached._context.reader._copies[session_id] = copy._replace(stale_at=time.monotonic())
        self.copies.clear()

    async def some_id(self, pick: int, number: int | None = None) -> str:
        """Return the id of a session.

        Usually the session is live; for the manager that keeps copies, it is one that the manager has read.
        Sometimes it is any session, or one that never existed.
        """
        if number == CACHED and self.copies and pick % 2:
            return list(self.copies)[pick % len(self.copies)]
        if pick < 52:
            live = self.model.live() or await self.create_some(3)
            if live:
                return live[pick % len(live)].session_id
        known = list(self.model.sessions)[-6:]
        return known[pick % len(known)] if known and pick < 62 else "sess_00unknown"

    async def create_some(self, count: int, agent_id: str | None = None) -> list[ModelSession]:
        """Create so many sessions of the users in turn, as far as there is room, and return all live
        sessions.

        Each session gets three checkpoints, one of them pinned.
        """
        manager = self.managers[0]
        for _ in range(count):
            turn = len(self.model.sessions)
            user_id, agent = USERS[turn % len(USERS)], agent_id or AGENTS[turn // 2 % len(AGENTS)]
            if self.model.room(user_id) > 0:
                created = await manager.create_session(user_id, agent)
                self.model.create(created, {})
                session = self.model.sessions[created.session_id]
                await self.save_some(manager, session, {}, [True, False, False])
        return self.model.live()

    async def save_some(
        self, manager: SessionManager, session: ModelSession, data: dict[str, Any], pins: list[bool]
    ) -> None:
        """Save checkpoints in the same tick, one for each of `pins`, which says if it is pinned."""
        session_id, before = session.session_id, len(session.checkpoints)
        calls = (manager.save_checkpoint(session_id, data, pin=pin) for pin in pins)
        for checkpoint_id, pin in zip(await asyncio.gather(*calls), pins, strict=True):
            self.model.save(session, ModelCheckpoint(checkpoint_id, data, pin))
        if len(session.checkpoints) < before + len(pins):
            self.saw("a save dropped the oldest")
        await self.learn_moments(session)

    async def learn_moments(self, session: ModelSession) -> None:
        """Learn the creation times of new checkpoints. The server chose the times; they rise strictly."""
        found = await self.managers[0].list_checkpoints(session.session_id)
        moments = [each["created_at"] for each in found]
        assert all(one < other for one, other in itertools.pairwise(moments))
        created = {each["checkpoint_id"]: each["created_at"] for each in found}
        for checkpoint in session.checkpoints:
            if checkpoint.created_at is NOT_KNOWN:
                checkpoint.created_at = created[checkpoint.checkpoint_id]

    def some_existing(self, pick: int) -> ModelSession | None:
        existing = self.model.existing()
        return existing[pick % len(existing)] if existing else None
