"""The test that `make planted` runs to see a planted bug caught by chaos. Its name keeps it out of `make
test`."""

import pytest

from tests.chaos.driver import run_chaos


@pytest.mark.timeout(500)
async def test_a_short_chaos_breaks_no_promise() -> None:
    run = await run_chaos(seed="short", seconds=40)
    assert run.violations == []
