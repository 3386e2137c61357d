"""Steps on checkpoints."""

import asyncio
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest

from agent_runtime.manager import SessionNotFoundError
from tests.model.base import MANAGER, PICK, ModelBase, step
from tests.model.model import ModelCheckpoint, ModelSession

_DATA: list[dict[str, Any]] = [
    {},
    {"turn": 1, "history": [None, 2**70, "ü\x00"]},
    {"text": "long enough to be compressed " * 50},
    *({"turn": turn, "history": [f"{said} to be shared " * 20 for said in range(turn)]} for turn in (20, 23)),
]
DATA = st.sampled_from(_DATA)
_AGE = timedelta(hours=10)


def _public(session: ModelSession, checkpoint: ModelCheckpoint) -> dict[str, Any]:
    return {
        "checkpoint_id": checkpoint.checkpoint_id,
        "session_id": session.session_id,
        "data": checkpoint.data,
        "created_at": checkpoint.created_at,
    }


class CheckpointRules(ModelBase):
    """Every method on checkpoints of one session."""

    @step(number=MANAGER, pick=PICK, data=DATA, pin=st.booleans(), count=st.integers(1, 3))
    async def save(self, number: int, pick: int, data: dict[str, Any], pin: bool, count: int) -> None:
        """Save one checkpoint, or several in the same tick."""
        manager, session_id = self.manager(number), await self.some_id(pick)
        session = self.model.find(session_id)
        if session is None:
            with pytest.raises(SessionNotFoundError):
                await manager.save_checkpoint(session_id, data, pin=pin)
        else:
            await self.save_some(manager, session, data, [pin] * count)

    @step(number=MANAGER, pick=PICK, which=PICK)
    async def read_checkpoints(self, number: int, pick: int, which: int) -> None:
        manager, session_id = self.manager(number), await self.some_id(pick)
        session, checkpoint_id = self.model.find(session_id), self._some_checkpoint(session_id, which)
        one, newest, listed, pins = await asyncio.gather(
            manager.get_checkpoint(session_id, checkpoint_id),
            manager.get_latest_checkpoint(session_id),
            manager.list_checkpoints(session_id),
            manager.pinned_checkpoints(session_id),
        )
        expected = [] if session is None else [_public(session, each) for each in session.checkpoints]
        assert listed == expected
        assert newest == (expected[-1] if expected else None)
        assert one == next((each for each in expected if each["checkpoint_id"] == checkpoint_id), None)
        pinned = [each.checkpoint_id for each in session.checkpoints if each.pinned] if session else []
        assert pins == pinned
        if pins:
            self.saw("pins were listed")

    @step(number=MANAGER, pick=PICK, which=PICK, pinned=st.booleans())
    async def pin(self, number: int, pick: int, which: int, pinned: bool) -> None:
        manager, session_id = self.manager(number), await self.some_id(pick)
        checkpoint_id = self._some_checkpoint(session_id, which)
        checkpoint = self._find(session_id, checkpoint_id)
        change = manager.pin_checkpoint if pinned else manager.unpin_checkpoint
        assert await change(session_id, checkpoint_id) is (checkpoint is not None)
        if checkpoint is not None:
            self.saw("a pin was set" if pinned else "a pin was taken off")
            checkpoint.pinned = pinned

    @step(number=MANAGER, pick=PICK, which=PICK)
    async def delete_checkpoint(self, number: int, pick: int, which: int) -> None:
        manager, session_id = self.manager(number), await self.some_id(pick)
        checkpoint_id = self._some_checkpoint(session_id, which)
        checkpoint = self._find(session_id, checkpoint_id)
        assert await manager.delete_checkpoint(session_id, checkpoint_id) is (checkpoint is not None)
        if checkpoint is not None:
            self.model.remove(self.model.sessions[session_id], [checkpoint])
            self.saw("a checkpoint was deleted")

    @step(number=MANAGER, pick=PICK)
    async def clear(self, number: int, pick: int) -> None:
        manager, session_id = self.manager(number), await self.some_id(pick)
        session = self.model.find(session_id)
        checkpoints = [] if session is None else list(session.checkpoints)
        assert await manager.clear_checkpoints(session_id) == len(checkpoints)
        if session is not None:
            self.model.remove(session, checkpoints)

    @step(pick=PICK, count=st.integers(1, 3))
    async def let_checkpoints_age(self, pick: int, count: int) -> None:
        """Make the oldest checkpoints old, by their times in Redis."""
        session = self.model.find(await self.some_id(pick))
        if session is None or not session.checkpoints:
            return
        self.model.age(session, count, _AGE)
        keys = self.managers[0]._context.partitions.of_session(session.session_id)
        for checkpoint in session.checkpoints[:count]:
            self.raw.zincrby(
                keys.checkpoint_order(session.session_id),
                -_AGE // timedelta(microseconds=1),
                checkpoint.checkpoint_id,
            )

    def _some_checkpoint(self, session_id: str, which: int) -> str:
        session = self.model.sessions.get(session_id)
        if session is None or not session.checkpoints or which > 55:
            return "ckpt_unknown"
        return session.checkpoints[which % len(session.checkpoints)].checkpoint_id

    def _find(self, session_id: str, checkpoint_id: str) -> ModelCheckpoint | None:
        session = self.model.find(session_id)
        return None if session is None else session.checkpoint(checkpoint_id)
