"""The architecture page draws the states of a job as the store has them."""

from collections.abc import Callable

import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobState
from tests.support.job_states import PAGE, REFUSALS, diagram, observe, page


async def test_the_diagram_of_states_is_what_jobs_do(
    open_manager: Callable[..., SessionManager], raw: redis.Redis
) -> None:
    """To mend it: python -m tests.support.job_states"""
    observed = await observe(open_manager(max_attempts=REFUSALS), raw)

    assert {situation.state for situation in observed.after} == set(JobState)
    text = PAGE.read_text()
    assert page(text, diagram(observed)) == text
    assert "stateDiagram-v2" in text
