"""Checkpoints of a conversation that changes in any way, saved by any manager, read back exactly.

The stored chunks are those that checkpoints name, with the right reference counts, and nothing stays when the
last checkpoint goes.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import redis
from hypothesis import strategies as st

from agent_runtime.manager import SessionManager
from tests.fuzz.inputs import fuzz
from tests.support.leftovers import chunk_problems

_CHANGES = ("say", "say", "say", "note", "edit", "insert", "undo", "forget", "replace")
_CALLS = ("save", "save", "save", "save", "read", "delete", "prune", "pin", "clear")

#: Name of a step and numbers for it: manager, count, place.
_STEPS = st.lists(
    st.tuples(
        st.sampled_from([*_CHANGES, *_CALLS]), st.integers(0, 1), st.integers(1, 12), st.integers(0, 60)
    ),
    max_size=40,
)


def _message(number: int) -> dict[str, Any]:
    """Return a message unlike any other, and hard to compress. Some messages are short and alike."""
    if number % 7 == 3:
        return {"role": "user", "content": "yes"}
    text = hashlib.shake_128(b"%d" % number).hexdigest(40 + number % 200)
    return {"role": "assistant" if number % 2 else "user", "content": text, "n": number}


class _Talk:
    """A conversation that changes, and its checkpoints by id."""

    def __init__(self, managers: list[SessionManager], session_id: str) -> None:
        self.managers = managers
        self.session_id = session_id
        self.history: list[Any] = []
        self.state: dict[str, Any] = {"history": self.history, "notes": {"deep": []}, "prompt": ""}
        self.saved: dict[str, dict[str, Any]] = {}
        self.pinned: set[str] = set()
        self.said = 0

    def _new(self, count: int) -> list[dict[str, Any]]:
        self.said += count
        return [_message(number) for number in range(self.said - count, self.said)]

    def change(self, step: str, count: int, place: int) -> None:
        """Continue or change the conversation."""
        if step == "say":
            self.history += self._new(count)
        elif step == "note":
            self.state["notes"]["deep"] += self._new(count)
            self.state["prompt"] = "Be kind. " * count * 40
        elif step == "edit" and self.history:
            self.history[place % len(self.history)] = self._new(1)[0]
        elif step == "insert":
            self.history[place:place] = self._new(1)
        elif step == "undo":
            del self.history[-count:]
        elif step == "forget":
            del self.history[:count]
        elif step == "replace":
            self.history[:] = self._new(count)

    async def call(self, step: str, number: int, count: int, place: int) -> None:
        """Make a call on a manager."""
        manager, session_id = self.managers[number], self.session_id
        ids = list(self.saved)
        some = ids[place % len(ids)] if ids else "none"
        if step == "save":
            checkpoint_id = await manager.save_checkpoint(session_id, self.state)
            self.saved[checkpoint_id] = json.loads(json.dumps(self.state))
        elif step == "read":
            latest = await manager.get_latest_checkpoint(session_id)
            assert (latest and latest["data"]) == (self.saved[ids[-1]] if ids else None)
        elif step == "delete":
            assert await manager.delete_checkpoint(session_id, some) is (some in self.saved)
            self.saved.pop(some, None)
            self.pinned.discard(some)
        elif step == "pin" and ids:
            assert await manager.pin_checkpoint(session_id, some)
            self.pinned.add(some)
        elif step == "prune":
            due = [each for each in ids[:-count] if each not in self.pinned]
            assert await manager.prune_checkpoints(session_id=session_id, keep_last=count) == len(due)
            self.saved = {each: self.saved[each] for each in ids if each not in due}
        elif step == "clear":
            assert await manager.clear_checkpoints(session_id) == len(ids)
            self.saved, self.pinned = {}, set()


@fuzz(60, steps=_STEPS)
async def test_each_checkpoint_of_a_changing_conversation_comes_back_exactly(
    open_manager: Callable[..., SessionManager],
    raw: redis.Redis,
    namespace: str,
    steps: list[tuple[str, int, int, int]],
) -> None:
    managers = [open_manager(dedupe_above_bytes=300) for _ in range(2)]
    session_id = (await managers[0].create_session("ann", "bot")).session_id
    key = f"{namespace}:{{0}}:c:{session_id}"
    talk = _Talk(managers, session_id)
    for step, number, count, place in steps:
        talk.change(step, count, place)
        await talk.call(step, number, count, place)
        assert chunk_problems(raw.hgetall(key)) == []
    for manager in managers:
        listed = await manager.list_checkpoints(session_id)
        assert [(each["checkpoint_id"], each["data"]) for each in listed] == list(talk.saved.items())
    for checkpoint_id, data in talk.saved.items():
        found = await managers[0].get_checkpoint(session_id, checkpoint_id)
        assert found is not None
        assert found["data"] == data
    stored, plain = sum(map(len, raw.hvals(key))), sum(len(json.dumps(each)) for each in talk.saved.values())
    assert stored <= plain + 2_000
    for checkpoint_id in sorted(talk.saved):
        assert await managers[0].delete_checkpoint(session_id, checkpoint_id)
        assert chunk_problems(raw.hgetall(key)) == []
    assert not raw.exists(key)
    assert await managers[0].delete_session(session_id)
    for manager in managers:
        await manager.aclose()
