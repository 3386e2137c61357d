"""Callers subclass the managers, as the contract shows: what they add and override changes nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from agent_runtime.manager import CachedSessionManager, Session, SessionManager
from tests.support.sessions import save_turns, turns

Opener = Callable[..., SessionManager]

KINDS = [SessionManager, CachedSessionManager]


def _with_attributes(cls: type[SessionManager]) -> type[SessionManager]:
    """Return a subclass with attributes of its own, named as ours are or were."""
    taken = {name for name in dir(cls(redis.Redis())) if not name.startswith("__")} - {"_context"}
    names = taken | {
        "_cache",
        "_client",
        "_conn",
        "_partitions",
        "_settings",
        "_lock",
        "_chunk_index",
        "_jobs",
    }
    attributes = {name for name in names if not callable(getattr(cls, name, None)) and "__" not in name}

    class WithAttributes(cls):  # type: ignore[valid-type, misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            for name in attributes:
                setattr(self, name, object())

    assert {"ttl", "settings", "jobs", "_client"} <= attributes
    return WithAttributes


@pytest.mark.parametrize("cls", KINDS)
async def test_attributes_of_a_subclass_are_its_own(open_manager: Opener, cls: type[SessionManager]) -> None:
    manager = open_manager(_with_attributes(cls))
    session = await manager.create_session("ann", "bot", {"a": 1})
    for _ in range(2):
        assert await manager.get_session(session.session_id) == session
    await save_turns(manager, session.session_id, 2)
    assert await turns(manager, session.session_id) == [0, 1]
    assert await manager.prune_checkpoints(keep_last=1) == 1
    assert await manager.get_active_session_count() == 1
    assert await manager.delete_user_sessions("ann") == 1


@pytest.mark.parametrize("cls", KINDS)
async def test_an_override_changes_what_it_overrides_and_nothing_else(
    open_manager: Opener, cls: type[SessionManager]
) -> None:
    class Overriding(cls):  # type: ignore[valid-type, misc]
        async def get_session(self, session_id: str) -> Session | None:
            found: Session | None = await super().get_session(session_id)
            return found and found.model_copy(update={"agent_id": "overridden"})

        async def create_sessions(self, sessions: Any) -> Any:
            raise NotImplementedError

        async def delete_sessions(self, session_ids: Any) -> Any:
            raise NotImplementedError

        async def session_exists(self, session_id: str) -> bool:
            raise NotImplementedError

    manager = open_manager(Overriding)
    session = await manager.create_session("ann", "bot")
    found = await manager.get_session(session.session_id)
    assert found is not None
    assert found.agent_id == "overridden"
    assert await manager.get_sessions([session.session_id]) == [session]
    assert await manager.update_session_metadata(session.session_id, {"a": 1})
    assert await manager.delete_session(session.session_id)
