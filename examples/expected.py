"""The caller's own records, to compare the store with."""

import random
from typing import Any, NamedTuple


class Conversation(NamedTuple):
    """A session as its caller remembers it."""

    session_id: str
    user_id: str
    agent_id: str
    turns: int
    last_state: dict[str, Any]


class Expected:
    """The conversations that the store must hold."""

    def __init__(self) -> None:
        self._conversations: dict[str, Conversation] = {}

    def __len__(self) -> int:
        return len(self._conversations)

    def add(self, conversation: Conversation) -> None:
        self._conversations[conversation.session_id] = conversation

    def count(self, *, user_id: str | None = None, agent_id: str | None = None) -> int:
        return len(self._of(user_id, agent_id))

    def remove(self, *, user_id: str | None = None, agent_id: str | None = None) -> int:
        """Remove the conversations of a user or an agent, and return their number."""
        removed = self._of(user_id, agent_id)
        for conversation in removed:
            del self._conversations[conversation.session_id]
        return len(removed)

    def prunable(self, keep_last: int) -> int:
        """Return the number of checkpoints that a pruning must remove."""
        return sum(max(0, conversation.turns - keep_last) for conversation in self._conversations.values())

    def sample(self, size: int) -> list[Conversation]:
        return random.sample(list(self._conversations.values()), size)

    def _of(self, user_id: str | None, agent_id: str | None) -> list[Conversation]:
        return [
            conversation
            for conversation in self._conversations.values()
            if user_id in (None, conversation.user_id) and agent_id in (None, conversation.agent_id)
        ]
