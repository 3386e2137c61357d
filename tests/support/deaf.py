"""The app of workers that hear of a process of their pool only that it is up, until they are told to stop: as
one may that is busy when it is.
"""

import time
from collections.abc import Callable
from typing import Any

from celery.concurrency.asynpool import ResultHandler

from agent_runtime.worker.celery import app

__all__ = ["app"]

_hearing = ResultHandler._make_process_result


def _hearing_once(handler: ResultHandler, hub: Any) -> Callable[[int], None]:
    hear, heard = _hearing(handler, hub), set()

    def hear_once(fileno: int) -> None:
        if fileno in heard:
            time.sleep(0.01)  # or it would ask again at once
        else:
            heard.add(fileno)
            hear(fileno)

    return hear_once


ResultHandler._make_process_result = _hearing_once
