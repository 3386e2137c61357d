"""The judge itself, on histories known to be linearizable and histories known not to be."""

import itertools
import math
import random
from typing import Any

import pytest

from tests.concurrency.history import UNKNOWN, History, Operation
from tests.concurrency.linearizability import assert_linearizable, find_order
from tests.concurrency.specifications import (
    Placed,
    Saved,
    cap_step,
    checkpoints_step,
    life_step,
    listed_order,
    newest_step,
    sessions_step,
)


def _register(state: int, operation: Operation) -> int | None:
    if operation.name == "write":
        return int(operation.arguments[0])
    return state if operation.result in (UNKNOWN, state) else None


def _write(value: int, start: float, end: float = math.inf) -> Operation:
    return Operation("write", (value,), UNKNOWN if end == math.inf else None, start, end, 0)


def _read(value: int, start: float, end: float) -> Operation:
    return Operation("read", (), value, start, end, 1)


_LINEARIZABLE = {
    "nothing": [],
    "one after the other": [_write(1, 0, 1), _read(1, 2, 3), _write(2, 4, 5), _read(2, 6, 7)],
    "a read beside a write sees it": [_write(1, 0, 9), _read(1, 2, 3)],
    "a read beside a write does not see it": [_write(1, 0, 9), _read(0, 2, 3), _read(1, 4, 5)],
    "writes in the other order": [_write(1, 0, 9), _write(2, 0, 9), _read(2, 2, 3), _read(1, 4, 5)],
    "a write without an answer that is seen": [_write(1, 0), _read(0, 1, 2), _read(1, 3, 4)],
    "a write without an answer that is never seen": [_write(1, 0), _read(0, 1, 2), _read(0, 3, 4)],
    "a write without an answer that comes late": [
        _write(1, 0),
        _write(2, 1, 2),
        _read(2, 3, 4),
        _read(1, 5, 6),
    ],
}

_NOT_LINEARIZABLE = {
    "a stale read": [_write(1, 0, 1), _read(0, 2, 3)],
    "a read of what was never written": [_write(1, 0, 9), _read(2, 2, 3)],
    "a read from the future": [_read(1, 0, 1), _write(1, 2, 3)],
    "a value that goes back": [_write(1, 0, 9), _read(1, 2, 3), _read(0, 4, 5)],
    "two readers see two orders": [
        _write(1, 0, 1), _write(2, 0, 1), _read(2, 2, 3), _read(1, 4, 5), _read(2, 6, 7),
    ],
    "a write without an answer that is seen and then not": [_write(1, 0), _read(1, 1, 2), _read(0, 3, 4)],
    "a lost write": [_write(1, 0, 2), _write(2, 3, 4), _read(1, 5, 6)],
}  # fmt: skip


@pytest.mark.parametrize("history", _LINEARIZABLE.values(), ids=_LINEARIZABLE)
def test_a_linearizable_history_has_an_order(history: History) -> None:
    order = find_order(history, 0, _register)
    assert order is not None
    assert set(order) >= {each for each in history if each.answered}
    assert_linearizable(history, 0, _register)


@pytest.mark.parametrize("history", _NOT_LINEARIZABLE.values(), ids=_NOT_LINEARIZABLE)
def test_a_history_that_is_not_linearizable_has_none(history: History) -> None:
    assert find_order(history, 0, _register) is None


def test_the_search_agrees_with_trying_every_order_of_every_history() -> None:
    chance = random.Random(1)
    verdicts = set()
    for _ in range(2_000):
        history = [_operation_by(chance) for _ in range(chance.randint(1, 6))]
        found = find_order(history, 0, _register) is not None
        assert found == _has_order(history), history
        verdicts.add(found)
    assert verdicts == {True, False}


def test_a_failure_names_the_operations_up_to_the_one_that_cannot_be() -> None:
    history = [_write(1, 0, 1), _read(1, 2, 3), _read(0, 4, 5), _read(1, 6, 7), _read(1, 8, 9)]
    with pytest.raises(AssertionError) as failure:
        assert_linearizable(history, 0, _register)
    assert str(failure.value).splitlines()[-1].endswith("process 1: read() -> 0")


def _did(name: str, *arguments: Any, result: Any) -> Operation:
    return Operation(name, arguments, result, 0, math.inf, 0)


_PINNED = Saved("c1", True)
_BOUND = _did("save", "s", False, result="c3")


@pytest.mark.parametrize(
    ("step", "state", "operation", "after"),
    [
        (cap_step(2), 2, _did("create", "ann", "bot", result="s"), None),
        (cap_step(2), 1, _did("create", "ann", "bot", result="s"), 2),
        (sessions_step, frozenset({Placed("s", "ann", "bot")}), _did("delete", "s", result=False), None),
        (sessions_step, frozenset({Placed("s", "ann", "bot")}), _did("delete_user", "ann", result=2), None),
        (
            sessions_step,
            frozenset({Placed("s", "ann", "bot")}),
            _did("hand_over", "s", "cat", result=True),
            frozenset({Placed("s", "ann", "cat")}),
        ),
        (
            checkpoints_step(),
            (Saved("c1", False), Saved("c2", False)),
            _did("latest", "s", result="c1"),
            None,
        ),
        (checkpoints_step(1), (_PINNED, Saved("c2", False)), _BOUND, (_PINNED, Saved("c3", False))),
        (newest_step, "c1", _BOUND, "c3"),
        (newest_step, "c1", _did("latest", "s", result="c3"), None),
        (life_step, False, _did("refresh", "s", result=True), None),
    ],
)
def test_specifications_allow_what_is_right_and_only_that(
    step: Any, state: Any, operation: Operation, after: Any
) -> None:
    assert step(state, operation) == after


def test_saves_side_by_side_are_put_into_the_order_of_the_list_after_them_without_trying_all() -> None:
    saved = tuple(f"c{number}" for number in range(30))
    saves = [Operation("save", ("s", False), each, 0, 9, 0) for each in saved]
    listed = Operation("checkpoints", ("s",), saved[::-1], 10, 11, 1)
    order = find_order([*saves, listed], (), checkpoints_step(), listed_order([listed]))
    assert order == [*saves[::-1], listed]


def test_a_list_that_has_saves_in_another_order_than_they_were_made_is_no_order() -> None:
    history = [
        Operation("save", ("s", False), "c1", 0, 1, 0),
        Operation("save", ("s", False), "c2", 2, 3, 0),
        Operation("checkpoints", ("s",), ("c2", "c1"), 4, 5, 1),
    ]
    with pytest.raises(AssertionError, match="no sequential order"):
        assert_linearizable(history, (), checkpoints_step(), listed_order(history))


def _operation_by(chance: random.Random) -> Operation:
    start = chance.randint(0, 8)
    end = start + chance.randint(1, 6)
    if chance.random() < 0.5:
        return _read(chance.randint(0, 2), start, end)
    return _write(chance.randint(1, 2), start, end if chance.random() < 0.8 else math.inf)


def _has_order(history: History) -> bool:
    answered = [each for each in history if each.answered]
    pending = [each for each in history if not each.answered]
    return any(
        _explains(order)
        for count in range(len(pending) + 1)
        for happened in itertools.combinations(pending, count)
        for order in itertools.permutations([*answered, *happened])
    )


def _explains(order: tuple[Operation, ...]) -> bool:
    state: int | None = 0
    for place, operation in enumerate(order):
        if any(later.responded < operation.invoked for later in order[place + 1 :]):
            return False
        state = _register(state, operation) if state is not None else None
    return state is not None
