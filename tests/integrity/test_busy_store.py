"""A scrub beside writers and deletions takes no unfinished work for damage."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from agent_runtime.manager import SessionManager
from tests.integrity.damages import findings
from tests.support.sessions import create_sessions, save_turns, turns

Opener = Callable[..., SessionManager]

_ROUNDS = 15


class Callers:
    """Callers that work until they are told to stop, and a record of what must be there afterwards."""

    def __init__(self, hasty: SessionManager) -> None:
        #: Its sessions expire soon after a refresh.
        self.hasty = hasty
        self.stop = asyncio.Event()
        self.kept: dict[str, list[int]] = {}
        self.erased: list[str] = []

    async def converse(self, manager: SessionManager, user_id: str) -> None:
        for number in count():
            session = await manager.create_session(user_id, "bot", {"number": number})
            id_ = session.session_id
            ids = await save_turns(manager, id_, 6)
            await manager.pin_checkpoint(id_, ids[-1])
            await manager.update_session_metadata(id_, {"more": "x" * number})
            await manager.delete_checkpoint(id_, ids[-1])
            await manager.update_session(id_, agent_id="other")
            await manager.refresh_session(id_)
            if number % 3 == 0:
                await manager.delete_session(id_)
            elif number % 3 == 1:
                await self.hasty.refresh_session(id_)
            else:
                self.kept[id_] = await turns(manager, id_)
            if self.stop.is_set():
                return

    async def erase(self, manager: SessionManager) -> None:
        while not self.stop.is_set():
            sessions = await create_sessions(manager, 20, "doomed", "bot")
            undone = await manager.revoke_user_sessions("doomed", grace=3_600)
            await manager.jobs.control(undone, "undo")
            await manager.jobs.run(undone)
            assert await manager.delete_user_sessions("doomed") == 20
            self.erased += [session.session_id for session in sessions]
            await create_sessions(manager, 5, "eve", "doomed")
            assert await manager.delete_agent_sessions("doomed") == 5
            await manager.prune_checkpoints(keep_last=3)
            await manager.cleanup_expired_sessions()


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_busy_store_shows_no_damage_and_loses_nothing(open_manager: Opener, partitions: int) -> None:
    def own_manager(**changes: Any) -> SessionManager:
        return open_manager(partitions=partitions, max_checkpoints=4, **changes)

    callers = Callers(own_manager(ttl=0.3))

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(callers.converse(own_manager(), f"user_{number}"))
        group.create_task(callers.erase(own_manager()))
        checking, found = own_manager(), []
        for _ in range(_ROUNDS):
            found += await findings(checking, repair=True)
        callers.stop.set()
    assert found == []
    assert await findings(checking) == []
    assert len(callers.kept) > 3
    for session_id, expected in callers.kept.items():
        assert set(await turns(checking, session_id)) <= set(expected)
        assert (await checking.get_session(session_id)) is not None
    assert callers.erased
    for session_id in callers.erased:
        assert await checking.get_session(session_id) is None
