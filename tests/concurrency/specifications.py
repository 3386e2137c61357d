"""Sequential meaning of the operations: one step from a state to the next, with nothing else going on.

Each step is a `Step` (see `linearizability.py`): None says that the answer is wrong in this state. Names and
arguments of operations are those of `Member`'s methods.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from agent_runtime.manager import SessionLimitError
from tests.concurrency.history import UNKNOWN, Operation
from tests.concurrency.linearizability import Precedes

State = frozenset[Any]


def metadata_step(state: State, operation: Operation) -> State | None:
    """Step of the metadata of one live session. The state is the set of its items."""
    if operation.name == "read_metadata":
        return _if(operation, operation.result == dict(state), state)
    (given,) = operation.arguments[1:]
    kept = {} if operation.name == "replace" else dict(state)
    return _if(operation, operation.result is True, frozenset({**kept, **given}.items()))


def cap_step(max_sessions: int) -> Callable[[int, Operation], int | None]:
    """Step of one partition with room for so many sessions. The state is the number of sessions."""

    def step(state: int, operation: Operation) -> int | None:
        if operation.name == "create":
            if operation.result is SessionLimitError:
                return _if(operation, state >= max_sessions, state)
            return _if(operation, state < max_sessions, state + 1)
        if operation.name == "delete":
            return state - 1 if operation.result else state
        return _if(operation, operation.result == state, state)

    return step


class Placed(NamedTuple):
    """A live session."""

    session_id: str
    user_id: str
    agent_id: str


def sessions_step(state: State, operation: Operation) -> State | None:
    """Step of all sessions of one partition. The state is the set of live sessions, as `Placed`."""
    name, result, (first, *rest) = operation.name, operation.result, operation.arguments
    if name == "create":
        return state | {Placed(result, first, *rest)}
    if name in ("of_user", "of_agent"):
        owner = 1 if name == "of_user" else 2
        return _if(operation, result == {each.session_id for each in state if each[owner] == first}, state)
    if name in ("delete_user", "delete_agent", "revoke_user", "revoke_agent"):
        owner = 1 if name.endswith("user") else 2
        gone = {each for each in state if each[owner] == first}
        # A mere revocation returns the id of its job, which says nothing of the sessions.
        return _if(operation, name.startswith("revoke") or result == len(gone), state - gone)
    found = {each for each in state if each.session_id == first}
    if result is not UNKNOWN and result is not bool(found):
        return None
    if name == "delete":
        return state - found
    if name == "hand_over":
        return state - found | {each._replace(agent_id=rest[0]) for each in found}
    assert name in ("exists", "refresh"), name
    return state


class Saved(NamedTuple):
    """A checkpoint."""

    checkpoint_id: str
    pinned: bool


def checkpoints_step(
    max_checkpoints: int | None = None,
) -> Callable[[tuple[Saved, ...], Operation], tuple[Saved, ...] | None]:
    """Step of the checkpoints of one session, oldest first."""

    def step(state: tuple[Saved, ...], operation: Operation) -> tuple[Saved, ...] | None:
        name, result = operation.name, operation.result
        ids = tuple(each.checkpoint_id for each in state)
        if name == "save":
            return _bounded((*state, Saved(result, operation.arguments[1])), max_checkpoints)
        if name == "latest":
            return _if(operation, result == (ids[-1] if ids else None), state)
        if name == "checkpoints":
            return _if(operation, result == ids, state)
        if name == "clear":
            return _if(operation, result == len(ids), ())
        checkpoint_id = operation.arguments[1]
        if result is not UNKNOWN and result is not (checkpoint_id in ids):
            return None
        if name == "delete_checkpoint":
            return tuple(each for each in state if each.checkpoint_id != checkpoint_id)
        assert name in ("pin", "unpin"), name
        return tuple(
            each._replace(pinned=name == "pin") if each.checkpoint_id == checkpoint_id else each
            for each in state
        )

    return step


def listed_order(history: Iterable[Operation]) -> Precedes:
    """Order saves as the lists of checkpoints in the history order them.

    Saves side by side may have come in any order, and only a later list tells which. A search that tries
    orders until it meets that list took 700,000 steps for 160 operations instead of 900, and once in CI it
    did not end within two minutes.
    """
    earlier: defaultdict[str, set[str]] = defaultdict(set)
    for each in history:
        if each.name == "checkpoints" and each.answered:
            for place, checkpoint_id in enumerate(each.result):
                earlier[checkpoint_id].update(each.result[:place])

    def precedes(first: Operation, second: Operation) -> bool:
        return first.name == second.name == "save" and first.result in earlier[second.result]

    return precedes


def newest_step(state: str | None, operation: Operation) -> str | None:
    """Step of the newest checkpoint of one session. Only saves change which one is the newest."""
    if operation.name == "save":
        return str(operation.result)
    assert operation.name == "latest", operation.name
    return _if(operation, operation.result == state, state)


def life_step(state: bool, operation: Operation) -> bool | None:
    """Step of one session that expires at some time. Nobody is told of the `expire` operation."""
    if operation.name == "expire":
        return False
    return _if(operation, operation.result is state, state)


def _if(operation: Operation, allowed: bool, after: Any) -> Any:
    return after if allowed or operation.result is UNKNOWN else None


def _bounded(state: tuple[Saved, ...], most: int | None) -> tuple[Saved, ...]:
    """Drop the oldest unpinned checkpoints beyond `most`. The newest always stays."""
    unpinned = [each for each in state if not each.pinned]
    excess = 0 if most is None else max(0, len(unpinned) - most)
    gone = [each for each in unpinned if each != state[-1]][:excess]
    return tuple(each for each in state if each not in gone)
