"""A worker whose clock is wrong."""

import shutil
from typing import Any

import pytest

from agent_runtime.manager import SessionManager
from agent_runtime.tasks import SessionJobs
from agent_runtime.tasks.celery_config import BULK_QUEUE
from agent_runtime.tasks.publisher import Publisher
from tests.support.jobs import finished, receipts_of
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until

_ERASURES = 40


@pytest.fixture(autouse=True)
def faketime() -> None:
    if not shutil.which("faketime"):  # .ci/run installs faketime
        pytest.skip("apt-get install faketime")


async def test_a_worker_ten_minutes_ahead_costs_nothing(
    manager: SessionManager, process_settings: dict[str, Any], beat: CeleryProcess
) -> None:
    """By the fast clock, every unacknowledged message is overdue, so this worker has them handed out again.

    Ticks of Beat are void to this worker; the other one hears them.
    """
    for number in range(_ERASURES):
        await create_sessions(manager, 5, f"erased_{number}")
        Publisher(manager.settings)._app.send_task(
            "tasks.delete_user_sessions", [f"erased_{number}"], task_id=f"erasure_{number}", queue=BULK_QUEUE
        )
    with (
        celery_worker(name="right", **process_settings) as right,
        celery_worker(name="ahead", clock="+10m", **process_settings) as ahead,
    ):

        async def all_are_there() -> bool:
            return await manager.get_active_session_count() == 0

        await wait_until(all_are_there, description="all erasures to have begun")
        for number in range(_ERASURES):
            erasure = SessionJobs(manager).get(f"erasure_{number}")
            assert (await finished(erasure)).removed == 5
        assert len(await receipts_of(manager)) >= _ERASURES

        async def both_have_worked() -> bool:
            job = await SessionJobs(manager).delete_user_sessions("nobody", grace=0.01)
            await finished(job)
            return all("run_job" in worker.log().partition("ready.")[2] for worker in (right, ahead))

        await wait_until(both_have_worked, description="each worker to get a message")
