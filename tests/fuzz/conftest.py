"""Count the inputs of each test; tests/conftest.py prints the counts."""

from collections.abc import Callable, Iterator

import pytest

from tests.fuzz import inputs


@pytest.fixture(autouse=True)
def inputs_are_counted(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[None]:
    name = request.node.originalname
    before = inputs.taken.get(name, 0)
    yield
    seed = "the same in every run" if inputs.SEED is None else f"FUZZ_SEED={inputs.SEED}"
    if count := inputs.taken.get(name, 0) - before:
        record_property("fuzz", f"{count:,} inputs, {seed}")
