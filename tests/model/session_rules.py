"""Steps on sessions."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest

from agent_runtime.manager import InvalidArgumentError, SessionLimitError
from tests.model.base import AGENT, AGENTS, CACHED, MANAGER, METADATA, PICK, USER, ModelBase, step
from tests.model.model import expiry_ms, metadata_size
from tests.support.wait_until import wait_until

_EXPIRY = st.sampled_from(
    [None, None, None, timedelta(seconds=100), timedelta(hours=5), timedelta(seconds=-1)]
)
#: Largest difference between the server's clock and this process's, milliseconds. Both are one clock, which
#: the server reads to the millisecond.
_CLOCKS_MS = 2


class SessionRules(ModelBase):
    """Every method on sessions."""

    @step()
    async def create_next(self) -> None:
        """Create a session. Hypothesis prefers this rule because it takes no arguments, so there is always
        work to do."""
        await self.create_some(1)

    @step(number=MANAGER, user_id=USER, agent_id=AGENT, metadata=METADATA)
    async def create(self, number: int, user_id: str, agent_id: str, metadata: dict[str, Any]) -> None:
        manager = self.manager(number)
        if self.model.too_large(metadata):
            self.saw("metadata was too large")
            with pytest.raises(InvalidArgumentError, match="max_metadata_bytes"):
                await manager.create_session(user_id, agent_id, metadata)
        elif self.model.room(user_id) <= 0:
            self.saw("the cap was hit")
            with pytest.raises(SessionLimitError):
                await manager.create_session(user_id, agent_id, metadata)
        else:
            created = await manager.create_session(user_id, agent_id, metadata or None)
            assert (created.user_id, created.agent_id, created.metadata) == (user_id, agent_id, metadata)
            self.model.create(created, metadata)
            self._check_expiry(created.session_id, manager.ttl)

    @step(numbers=st.tuples(MANAGER, MANAGER), user_id=USER, agent_id=AGENT, count=st.integers(2, 4))
    async def create_many(self, numbers: tuple[int, int], user_id: str, agent_id: str, count: int) -> None:
        """Create sessions through two managers at once."""
        room = self.model.room(user_id)
        managers = [self.managers[number] for number in numbers]
        created = await asyncio.gather(
            *(managers[each % 2].create_session(user_id, agent_id) for each in range(count)),
            return_exceptions=True,
        )
        made = [each for each in created if not isinstance(each, SessionLimitError)]
        assert len(made) == min(count, max(0, room))
        if len(made) < count:
            self.saw("the cap was hit by gathered calls")
        for session in sorted(made, key=lambda each: each.created_at):
            self.model.create(session, {})

    @step(number=MANAGER, user_id=USER, agent_id=AGENT)
    async def create_and_run_out(self, number: int, user_id: str, agent_id: str) -> None:
        """Let a session expire by itself, by the server's clock. A manager with a copy does not return it
        then."""
        if self.model.room(user_id) <= 0:
            return
        created = await self.hasty.create_session(user_id, agent_id)
        self.model.create(created, {})
        await self.managers[number].get_session(created.session_id)
        await self._wait_for_end(created.session_id)
        self.model.run_out(self.model.sessions[created.session_id], created.expires_at)
        self.expect_read(
            number, created.session_id, await self.managers[number].get_session(created.session_id)
        )

    @step(number=MANAGER, pick=PICK)
    async def read(self, number: int, pick: int) -> None:
        manager, session_id = self.manager(number), await self.some_id(pick, number)
        found, exists = await asyncio.gather(
            manager.get_session(session_id), manager.session_exists(session_id)
        )
        self.expect_read(number, session_id, found)
        assert exists is (self.view(session_id) is not None)
        self.saw("a live session was read" if exists else "a session that is not live was read")

    @step(pick=PICK)
    async def read_again(self, pick: int) -> None:
        """Read a session again that the manager with copies has read before, if there is one."""
        kept = list(self.copies)
        session_id = kept[-1 - pick % len(kept)] if kept else await self.some_id(pick)
        self.expect_read(CACHED, session_id, await self.manager(CACHED).get_session(session_id))

    @step(
        number=MANAGER,
        pick=PICK,
        metadata=st.none() | METADATA,
        agent_id=st.none() | AGENT,
        later=_EXPIRY,
    )
    async def update(
        self,
        number: int,
        pick: int,
        metadata: dict[str, Any] | None,
        agent_id: str | None,
        later: timedelta | None,
    ) -> None:
        manager, session_id = self.manager(number), await self.some_id(pick, number)
        moment = None if later is None else datetime.now(UTC) + later
        changes = {"metadata": metadata, "agent_id": agent_id, "expires_at": moment}
        changes = {name: value for name, value in changes.items() if value is not None}
        session = self.model.find(session_id)
        past = later is not None and later < timedelta(0)
        if (metadata is not None and self.model.too_large(metadata)) or (past and session):
            self.saw("an update was refused")
            with pytest.raises(InvalidArgumentError):
                await manager.update_session(session_id, **changes)
            return
        assert await manager.update_session(session_id, **changes) is (session is not None)
        if session is None:
            return
        if metadata is not None:
            session.metadata = dict(metadata)
        if agent_id is not None:
            if agent_id != session.agent_id:
                self.saw("a session was handed over")
            self.model.hand_over(session, agent_id)
        if moment is not None:
            session.expires_at = moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    @step(number=MANAGER, pick=PICK, metadata=METADATA)
    async def merge(self, number: int, pick: int, metadata: dict[str, Any]) -> None:
        manager, session_id = self.manager(number), await self.some_id(pick, number)
        session = self.model.find(session_id)
        merged = metadata if session is None else session.metadata | metadata
        if self.model.too_large(metadata) or self.model.too_large(merged):
            self.saw("a merge was too large")
            with pytest.raises(InvalidArgumentError, match="max_metadata_bytes"):
                await manager.update_session_metadata(session_id, metadata)
            return
        assert await manager.update_session_metadata(session_id, metadata) is (session is not None)
        if session is not None:
            session.metadata = dict(merged)
            size = json.loads(self.raw.hget(self._session_key(session_id), "size"))
            assert size == metadata_size(merged)

    @step(number=MANAGER, pick=PICK)
    async def refresh(self, number: int, pick: int) -> None:
        manager, session_id = self.manager(number), await self.some_id(pick, number)
        session = self.model.find(session_id)
        assert await manager.refresh_session(session_id) is (session is not None)
        if session is not None:
            # The server chose the time.
            found = await self.managers[0].get_session(session_id)
            assert found is not None
            session.expires_at = found.expires_at
            self._check_expiry(session_id, manager.ttl)

    @step(pick=PICK)
    async def hand_over_elsewhere(self, pick: int) -> None:
        """Have another manager hand over a session that the one with copies has just read."""
        session_id = await self.some_id(pick)
        session = self.model.find(session_id)
        if session is not None:
            self.expect_read(CACHED, session_id, await self.managers[CACHED].get_session(session_id))
            [agent_id] = {*AGENTS} - {session.agent_id}
            assert await self.managers[0].update_session(session_id, agent_id=agent_id)
            self.model.hand_over(session, agent_id)

    @step(number=MANAGER, pick=PICK)
    async def delete(self, number: int, pick: int) -> None:
        manager, session_id = self.manager(number), await self.some_id(pick, number)
        session = self.model.find(session_id)
        assert await manager.delete_session(session_id) is (session is not None)
        if session is not None:
            self.model.end(session)

    @step(number=MANAGER, user_id=USER, agent_id=AGENT)
    async def list_sessions(self, number: int, user_id: str, agent_id: str) -> None:
        manager = self.manager(number)
        by_user, by_agent = await asyncio.gather(
            manager.get_sessions_by_user(user_id), manager.get_sessions_by_agent(agent_id)
        )
        for found, live in (
            (by_user, self.model.live(user_id=user_id)),
            (by_agent, self.model.live(agent_id=agent_id)),
        ):
            assert [each.created_at for each in found] == sorted(each.created_at for each in live)
            assert {each.session_id: each for each in found} == {
                each.session_id: each.public() for each in live
            }
        in_turn = [each.session_id async for each in manager.iter_sessions_by_user(user_id)]
        live = sorted(self.model.live(user_id=user_id), key=lambda each: each.in_order())
        assert in_turn == [each.session_id for each in live]
        of_agent = [each.session_id async for each in manager.iter_sessions_by_agent(agent_id)]
        assert sorted(of_agent) == sorted(each.session_id for each in self.model.live(agent_id=agent_id))

    @step(pick=PICK)
    async def run_out(self, pick: int) -> None:
        """Let a live session expire by the server's clock."""
        session = self.model.find(await self.some_id(pick))
        if session is None:
            return
        assert await self.hasty.refresh_session(session.session_id)
        refreshed_ms = time.time() * 1000
        await self._wait_for_end(session.session_id)
        stored, _ = self.inspector.read().members(session.partition, "x")
        assert session.session_id not in {member.split()[0] for member in stored}
        [expired_ms] = [
            score
            for member, score in self.raw.zrange(self._index_key(session.partition), 0, -1, withscores=True)
            if member.decode().split()[0] == session.session_id
        ]
        ttl_ms = self.hasty.ttl * 1000
        assert self.began * 1000 - _CLOCKS_MS < expired_ms - ttl_ms < refreshed_ms + _CLOCKS_MS
        self.model.run_out(session, datetime.fromtimestamp(expired_ms / 1000, UTC))
        self.saw("a session ran out")

    @step(pick=PICK, vanish=st.booleans())
    async def let_run_out(self, pick: int, vanish: bool) -> None:
        """Make a session expire, revoked or not, by rewriting its expiry."""
        session = self.some_existing(pick)
        if session is None:
            return
        if session.revoked:
            self.saw("a revoked session ran out")
        expired_ms = self.inspector.let_run_out(session, vanish=vanish)
        self.model.run_out(session, datetime.fromtimestamp(expired_ms / 1000, UTC))

    @step(number=MANAGER, what=st.sampled_from(["scripts", "copies", "connections"]))
    async def lose(self, number: int, what: str) -> None:
        """Lose state that only saves time: the server's scripts, copies of sessions, or connections."""
        if what == "scripts":
            self.raw.script_flush()
        elif what == "copies":
            self.forget_copies()
        else:
            await self.managers[number].aclose()
        self.saw(f"lost: {what}")

    def _session_key(self, session_id: str) -> bytes:
        return self.managers[0]._context.partitions.of_session(session_id).session(session_id)

    def _index_key(self, partition: int) -> bytes:
        return self.managers[0]._context.partitions.all[partition].expiry_index

    def _check_expiry(self, session_id: str, ttl: float) -> None:
        session = self.model.sessions[session_id]
        given_ms = expiry_ms(session) - ttl * 1000
        assert self.began * 1000 - _CLOCKS_MS < given_ms < time.time() * 1000 + _CLOCKS_MS

    async def _wait_for_end(self, session_id: str) -> None:
        async def has_ended() -> bool:
            return not self.raw.exists(self._session_key(session_id))

        await wait_until(has_ended, description=f"{session_id} has run out")
