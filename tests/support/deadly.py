"""The app of workers whose processes die of one job: whichever was asked for with the reason `deadly`."""

import os
import signal
from typing import Any

from manager.jobs.runner import Runner
from worker.celery import app

__all__ = ["app"]

_work = Runner._work


async def _die_or_work(runner: Runner, turn: Any, *arguments: Any) -> bool:
    if (await runner._ledger.progress(turn.job_id)).reason == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return await _work(runner, turn, *arguments)


Runner._work = _die_or_work  # type: ignore[method-assign]
