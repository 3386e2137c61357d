"""Decide if a history is linearizable: the search of Wing and Gong, with the memory of Lowe.

An operation takes effect at some time between its call and its answer. So the next operation in a sequential
order may be any that was called before the earliest answer among the operations still missing. The search
tries each of these, as long as the specification allows its answer. It does not try the same combination of
operations done and state reached again.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.concurrency.history import History, Operation

#: The state after an operation, or None if the operation could not have had its result in this state. States
#: are hashable. An operation with an unknown result is allowed in every state.
Step = Callable[[Any, Operation], Any]

#: True if an answer tells that the first took effect before the second. This spares the search the other
#: orders, which that answer would refute only when the search comes to it.
Precedes = Callable[[Operation, Operation], bool]


def _nothing_known(_first: Operation, _second: Operation) -> bool:
    return False


def find_order(
    history: Iterable[Operation], initial: Any, step: Step, precedes: Precedes = _nothing_known
) -> History | None:
    """Return a sequential order that explains every answer, or None. Unanswered operations may be left
    out."""
    calls = sorted(history, key=lambda operation: operation.invoked)
    answered = sum(1 << place for place, call in enumerate(calls) if call.answered)
    needs = [sum(1 << place for place, first in enumerate(calls) if precedes(first, call)) for call in calls]
    todo: list[tuple[int, Any, tuple[Any, ...]]] = [(0, initial, ())]
    seen = set()
    while todo:
        done, state, order = todo.pop()
        if done & answered == answered:
            return _unrolled(order)
        for place in reversed(list(_possible_next(calls, needs, done))):
            after = step(state, calls[place])
            reached = (done | 1 << place, after)
            if after is not None and reached not in seen:
                seen.add(reached)
                todo.append((*reached, (order, calls[place])))
    return None


def assert_linearizable(
    history: Iterable[Operation], initial: Any, step: Step, precedes: Precedes = _nothing_known
) -> None:
    calls = sorted(history, key=lambda operation: operation.invoked)
    if find_order(calls, initial, step, precedes) is None:
        start = calls[0].invoked
        lines = [
            f"{1000 * (call.invoked - start):9.3f} to {1000 * (call.responded - start):9.3f} ms,"
            f" process {call.member}: {call.name}{call.arguments} -> {call.result!r}"
            for call in calls[: _first_bad_prefix(calls, initial, step, precedes)]
        ]
        raise AssertionError("no sequential order explains these answers:\n" + "\n".join(lines))


def _possible_next(calls: History, needs: list[int], done: int) -> Iterator[int]:
    first_missing = (~done & (done + 1)).bit_length() - 1
    horizon = math.inf
    for place in range(first_missing, len(calls)):
        if done >> place & 1:
            continue
        if calls[place].invoked > horizon:
            return
        if done & needs[place] == needs[place]:
            yield place
        horizon = min(horizon, calls[place].responded)


def _unrolled(order: tuple[Any, ...]) -> History:
    found: History = []
    while order:
        order, operation = order
        found.append(operation)
    return found[::-1]


def _first_bad_prefix(calls: History, initial: Any, step: Step, precedes: Precedes) -> int:
    """Return the length of the shortest prefix of calls, in order of their start, that has no sequential
    order."""
    good, bad = 0, len(calls)
    while bad - good > 1:
        middle = (good + bad) // 2
        if find_order(_as_known_at(calls[middle].invoked, calls), initial, step, precedes) is None:
            bad = middle
        else:
            good = middle
    return bad


def _as_known_at(moment: float, calls: History) -> History:
    """Return the history as known at that time: calls in flight may have had their effect, or not."""
    made = [call for call in calls if call.invoked < moment]
    return [call if call.responded < moment else call._replace(responded=math.inf) for call in made]
