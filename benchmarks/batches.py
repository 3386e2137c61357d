"""Sizes of the batches of a bulk job, and run times of their scripts on the server."""

import statistics
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

from agent_runtime.manager.jobs.pace import Pace
from benchmarks.server import BenchServer


class Batches:
    """Batches of several runs of a job.

    Args:
        server: the server whose statistics say how long scripts ran.
    """

    def __init__(self, server: BenchServer) -> None:
        self._server = server
        self._sizes: list[list[int]] = []
        self._script_times_ms: list[dict[str, float]] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note every size that the pace chooses, for as long as the context is open."""
        runs = self._sizes

        class NotedPace(Pace):
            @asynccontextmanager
            async def batch(self) -> AsyncIterator[int]:
                async with super().batch() as size:
                    runs[-1].append(size)
                    yield size

        with patch("agent_runtime.manager.jobs.pace.Pace", NotedPace):
            yield

    def begin_run(self) -> None:
        self._sizes.append([])
        self._server.reset_script_times()

    def end_run(self) -> None:
        self._script_times_ms.append(self._server.script_times_ms())

    def summary(self) -> dict[str, Any]:
        """Return sizes that the pace settled on (second half of each run), and medians of the script
        times."""
        settled = [size for run in self._sizes for size in run[len(run) // 2 :]]
        deciles = statistics.quantiles(settled, n=10)
        summary: dict[str, Any] = {
            "batches": round(statistics.median(len(run) for run in self._sizes)),
            "batch_size_p10": round(deciles[0]),
            "batch_size_median": round(statistics.median(settled)),
            "batch_size_p90": round(deciles[-1]),
        }
        for name in ("p50", "p99", "p100"):
            times = [run[name] for run in self._script_times_ms if run]
            if times:
                summary[f"script_ms_{name}"] = round(statistics.median(times), 2)
                summary[f"script_ms_{name}_worst"] = round(max(times), 2)
        return summary
