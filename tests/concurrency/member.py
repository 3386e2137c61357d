"""One process of a crew: a manager of its own, and a journal of its operations."""

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import redis

from agent_runtime.manager import SessionManager, Settings
from tests.concurrency.history import Journal

#: The script of a round: a coroutine function of a test module, called with the member.
Script = Callable[..., Awaitable[None]]


class Round(NamedTuple):
    """Instructions for every member of a crew at the beginning of a round."""

    script: Script
    arguments: tuple[Any, ...]
    settings: Settings
    ttl: float
    max_sessions: int
    journal: Path


class Member:
    """The argument of a script. Each method is one call of the manager, recorded under the method's name."""

    def __init__(self, number: int, manager: SessionManager, journal: Journal) -> None:
        #: Number of the process, from 0.
        self.number = number
        self.manager = manager
        self.random = random.Random()
        self.record = journal.record

    async def create(self, user_id: str, agent_id: str) -> Any:
        """Return the id of the new session."""
        call = self.manager.create_session(user_id, agent_id)
        return await self.record("create", call, user_id, agent_id, take=lambda it: it.session_id)

    async def delete(self, session_id: str) -> Any:
        return await self.record("delete", self.manager.delete_session(session_id), session_id)

    async def exists(self, session_id: str) -> Any:
        return await self.record("exists", self.manager.session_exists(session_id), session_id)

    async def refresh(self, session_id: str) -> Any:
        return await self.record("refresh", self.manager.refresh_session(session_id), session_id)

    async def hand_over(self, session_id: str, agent_id: str) -> Any:
        call = self.manager.update_session(session_id, agent_id=agent_id)
        return await self.record("hand_over", call, session_id, agent_id)

    async def of_user(self, user_id: str) -> Any:
        """Return the ids of the user's sessions."""
        return await self.record("of_user", self.manager.get_sessions_by_user(user_id), user_id, take=_ids)

    async def of_agent(self, agent_id: str) -> Any:
        return await self.record(
            "of_agent", self.manager.get_sessions_by_agent(agent_id), agent_id, take=_ids
        )

    async def count(self) -> Any:
        return await self.record("count", self.manager.get_active_session_count())

    async def delete_user(self, user_id: str) -> Any:
        return await self.record("delete_user", self.manager.delete_user_sessions(user_id), user_id)

    async def delete_agent(self, agent_id: str) -> Any:
        return await self.record("delete_agent", self.manager.delete_agent_sessions(agent_id), agent_id)

    async def revoke_user(self, user_id: str, **options: Any) -> Any:
        """Return the id of the job."""
        call = self.manager.revoke_user_sessions(user_id, **options)
        return await self.record("revoke_user", call, user_id)

    async def revoke_agent(self, agent_id: str, **options: Any) -> Any:
        call = self.manager.revoke_agent_sessions(agent_id, **options)
        return await self.record("revoke_agent", call, agent_id)

    async def undo(self, job_id: str) -> Any:
        """Return the state of the job then, or the error that refused the undo."""
        call = self.manager.jobs.control(job_id, "undo")
        return await self.record("undo", call, job_id, take=lambda it: it.state)

    async def work(self, job_id: str) -> Any:
        """Return the number of sessions that the job has removed, once it has ended."""
        return await self.record("work", self.manager.jobs.run(job_id), job_id, take=lambda it: it.removed)

    async def merge(self, session_id: str, metadata: dict[str, Any]) -> Any:
        call = self.manager.update_session_metadata(session_id, metadata)
        return await self.record("merge", call, session_id, metadata)

    async def replace(self, session_id: str, metadata: dict[str, Any]) -> Any:
        call = self.manager.update_session(session_id, metadata=metadata)
        return await self.record("replace", call, session_id, metadata)

    async def read_metadata(self, session_id: str) -> Any:
        call = self.manager.get_session(session_id)
        return await self.record("read_metadata", call, session_id, take=lambda it: it.metadata)

    async def save(self, session_id: str, pin: bool = False) -> Any:
        call = self.manager.save_checkpoint(session_id, {"by": self.number}, pin=pin)
        return await self.record("save", call, session_id, pin)

    async def pin(self, session_id: str, checkpoint_id: str) -> Any:
        call = self.manager.pin_checkpoint(session_id, checkpoint_id)
        return await self.record("pin", call, session_id, checkpoint_id)

    async def unpin(self, session_id: str, checkpoint_id: str) -> Any:
        call = self.manager.unpin_checkpoint(session_id, checkpoint_id)
        return await self.record("unpin", call, session_id, checkpoint_id)

    async def latest(self, session_id: str) -> Any:
        """Return the id of the newest checkpoint."""
        call = self.manager.get_latest_checkpoint(session_id)
        return await self.record("latest", call, session_id, take=lambda it: it and it["checkpoint_id"])

    async def checkpoints(self, session_id: str) -> Any:
        """Return the ids of the checkpoints, oldest first."""
        call = self.manager.list_checkpoints(session_id)
        return await self.record(
            "checkpoints", call, session_id, take=lambda found: tuple(it["checkpoint_id"] for it in found)
        )

    async def delete_checkpoint(self, session_id: str, checkpoint_id: str) -> Any:
        call = self.manager.delete_checkpoint(session_id, checkpoint_id)
        return await self.record("delete_checkpoint", call, session_id, checkpoint_id)

    async def clear(self, session_id: str) -> Any:
        return await self.record("clear", self.manager.clear_checkpoints(session_id), session_id)

    async def prune(self, session_id: str, keep_last: int) -> Any:
        call = self.manager.prune_checkpoints(session_id=session_id, keep_last=keep_last)
        return await self.record("prune", call, session_id, keep_last)


def serve(number: int, orders: Connection) -> None:
    """Run one round after the other, until the other end of the pipe is closed."""
    with asyncio.Runner() as runner:
        while True:
            try:
                order: Round = orders.recv()
            except EOFError:
                return
            try:
                runner.run(_take_part(number, order, orders))
                orders.send("")
            except Exception:
                orders.send(traceback.format_exc())


async def _take_part(number: int, order: Round, orders: Connection) -> None:
    journal = Journal(order.journal, number)
    conn = redis.Redis.from_url(order.settings.redis_url)
    async with SessionManager(conn, order.ttl, order.max_sessions, settings=order.settings) as manager:
        await manager.session_exists("sess_000")  # opens a connection
        orders.send("ready")
        moment = orders.recv()
        time.sleep(max(0.0, moment - time.monotonic()))  # noqa: ASYNC251, nothing else runs yet
        await order.script(Member(number, manager, journal), *order.arguments)
    journal.close()


def _ids(sessions: list[Any]) -> frozenset[str]:
    return frozenset(each.session_id for each in sessions)
