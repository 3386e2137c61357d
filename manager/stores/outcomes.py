"""Outcomes of the entries of a batch: a result, or the error in its place."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from agent_runtime.manager.errors import AgentSessionsError

P = ParamSpec("P")
T = TypeVar("T")


def outcome_of(make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | AgentSessionsError:
    """Call `make`, and return its result or the error that it raised."""
    try:
        return make(*args, **kwargs)
    except AgentSessionsError as error:
        return error


def result_of(outcome: T | AgentSessionsError) -> T:
    """Return the result, or raise the error in its place: what a single call does with its outcome."""
    if isinstance(outcome, AgentSessionsError):
        raise outcome
    return outcome
