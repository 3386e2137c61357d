"""Run the machine for a number of steps, from a seed."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from unittest import mock

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from agent_runtime.manager.jobs import listing, pace, receipts
from agent_runtime.manager.methods import checkpoints as checkpoint_methods
from agent_runtime.manager.methods import listings as listing_methods
from agent_runtime.manager.scripts import sessions as scripts
from agent_runtime.manager.stores import batch_pages as batches
from tests.model.base import ModelBase, Tally
from tests.model.machine import Machine
from tests.support.redis_server import RedisServer

#: Steps after which the machine begins anew, and number of such cases from one seed.
STEPS_OF_A_CASE, CASES_OF_A_SEED = 60, 34

#: Batches and pages so small that a few sessions take several.
_SMALL: list[tuple[ModuleType, dict[str, int]]] = [
    (pace, {"_START": 2, "_MINIMUM": 2, "_MAXIMUM": 2}),
    (listing_methods, {"_PAGE": 3}),
    (checkpoint_methods, {"_PAGE": 3}),
    (scripts, {"_REVOKED_SETS_PER_COUNT": 2}),
    (receipts, {"_PAGE": 4}),
    (listing, {"_READ_AT_ONCE": 4}),
    (batches, {"PAGE": 2}),
]


def run(steps: int, seed: int, *, shrink: bool) -> Iterator[Tally]:
    """Run the machine, and yield the tally so far after each seed. The next seeds follow the first.

    Raises:
        AssertionError: the managers and the model differ. With `shrink`, it shows the fewest steps that lead
            there.
    """
    tally = Tally()
    with RedisServer() as server, asyncio.Runner() as runner, _small_batches():
        ModelBase.server, ModelBase.loop, ModelBase.tally = server, runner.get_loop(), tally
        while tally.steps < steps:
            try:
                _run_cases(seed, shrink)
            except BaseException as error:
                error.add_note(
                    f"seed {seed}, after {tally.steps} steps; again: make model STEPS=1 SEED={seed}"
                )
                raise
            seed += 1
            yield tally


def _run_cases(seed: int, shrink: bool) -> None:
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    run_state_machine_as_test(
        hypothesis.seed(seed)(Machine),
        settings=settings(
            max_examples=CASES_OF_A_SEED,
            stateful_step_count=STEPS_OF_A_CASE,
            phases=phases,
            database=None,
            report_multiple_bugs=False,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@contextmanager
def _small_batches() -> Iterator[None]:
    with ExitStack() as stack:
        for module, sizes in _SMALL:
            stack.enter_context(mock.patch.multiple(module, **sizes))
        yield
