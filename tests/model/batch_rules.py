"""Steps on many sessions at once."""

from typing import Any

import hypothesis.strategies as st

from agent_runtime.manager import InvalidArgumentError, Session, SessionLimitError, SessionNotFoundError
from tests.model.base import AGENT, MANAGER, METADATA, PICK, USER, ModelBase, step
from tests.model.model import ModelCheckpoint

_PICKS = st.lists(PICK, min_size=1, max_size=4)


class BatchRules(ModelBase):
    """Every method for many sessions. An entry does the same as the single call, in the order of the
    input."""

    @step(number=MANAGER, users=st.lists(USER, min_size=1, max_size=4), agent_id=AGENT, metadata=METADATA)
    async def create_batch(
        self, number: int, users: list[str], agent_id: str, metadata: dict[str, Any]
    ) -> None:
        wanted: Any = [{"user_id": user, "agent_id": agent_id, "metadata": metadata} for user in users]
        for user, created in zip(users, await self.manager(number).create_sessions(wanted), strict=True):
            if self.model.too_large(metadata):
                assert isinstance(created, InvalidArgumentError)
            elif self.model.room(user) <= 0:
                assert isinstance(created, SessionLimitError)
            else:
                assert isinstance(created, Session)
                assert (created.user_id, created.metadata) == (user, metadata)
                self.model.create(created, metadata)

    @step(number=MANAGER, picks=_PICKS)
    async def read_batch(self, number: int, picks: list[int]) -> None:
        ids = [await self.some_id(pick, number) for pick in picks]
        for session_id, found in zip(ids, await self.manager(number).get_sessions(ids), strict=True):
            assert found is None or isinstance(found, Session)
            self.expect_read(number, session_id, found)

    @step(number=MANAGER, picks=_PICKS, pin=st.booleans())
    async def save_batch(self, number: int, picks: list[int], pin: bool) -> None:
        ids = [await self.some_id(pick) for pick in picks]
        wanted: Any = [{"session_id": each, "data": {"of": each}, "pin": pin} for each in ids]
        for session_id, saved in zip(ids, await self.manager(number).save_checkpoints(wanted), strict=True):
            session = self.model.find(session_id)
            if session is None:
                assert isinstance(saved, SessionNotFoundError)
            else:
                assert isinstance(saved, str)
                self.model.save(session, ModelCheckpoint(saved, {"of": session_id}, pin))
        for session_id in set(ids):
            if session := self.model.find(session_id):
                await self.learn_moments(session)

    @step(number=MANAGER, picks=_PICKS)
    async def delete_batch(self, number: int, picks: list[int]) -> None:
        ids = [await self.some_id(pick, number) for pick in picks]
        for session_id, deleted in zip(ids, await self.manager(number).delete_sessions(ids), strict=True):
            session = self.model.find(session_id)
            assert deleted is (session is not None)
            if session is not None:
                self.model.end(session)
