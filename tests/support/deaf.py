"""An app for workers that read only the first message of each pool process until they are told to stop.

A busy worker may be that late.
"""

import time
from collections.abc import Callable
from typing import Any

import billiard.pool
from celery.concurrency.asynpool import ResultHandler

from agent_runtime.worker.celery import app

__all__ = ["app"]

# A pool process waits almost an hour, not 30 s, until its messages are read. So a worker that does not read
# them is told from one on a busy machine.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 30_000

_hearing = ResultHandler._make_process_result


def _hearing_once(handler: ResultHandler, hub: Any) -> Callable[[int], None]:
    hear, heard = _hearing(handler, hub), set()

    def hear_once(fileno: int) -> None:
        if fileno in heard:
            time.sleep(0.01)  # else the event loop would call again at once
        else:
            heard.add(fileno)
            hear(fileno)

    return hear_once


ResultHandler._make_process_result = _hearing_once
