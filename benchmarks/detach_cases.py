"""Taking an agent's index away, which revokes its sessions: as fast for many sessions as for few."""

import statistics
from collections.abc import AsyncIterator
from functools import partial

from benchmarks.bench import Bench
from benchmarks.populate import Populated, new_owned, populate
from benchmarks.timing import Comparison, Work, alternate, reached
from manager.jobs.options import Order

_AIM_MS = 5.0


async def detach_cases(bench: Bench) -> AsyncIterator[Comparison]:
    """Opening the deletion of agents of several sizes, against a bare `RENAME`."""
    agents = {size: _Agent(bench, f"agent_of_{size}", size) for size in bench.sizes.detached}
    sides = [side for agent in agents.values() for side in (agent.rename, agent.revoke)]
    seconds = await alternate(bench.sizes.detach_rounds, sides)
    smallest = statistics.median(seconds[1])
    for size, raw, ours in zip(agents, seconds[::2], seconds[1::2], strict=True):
        details = {
            "ms_median": round(statistics.median(ours) * 1_000, 3),
            "ms_max": round(max(ours) * 1_000, 3),
            "times_the_smallest": round(statistics.median(ours) / smallest, 2),
            "aim": f"median < {_AIM_MS:g} ms: {reached(statistics.median(ours) * 1_000 < _AIM_MS)}",
        }
        case = f"detach an agent of {size:,} sessions"
        yield Comparison(case, "RENAME of its index", "jobs", 1, raw, ours, details=details)
    bench.server.clean()


class _Agent:
    """An agent whose index is taken away, and put back, again and again."""

    def __init__(self, bench: Bench, name: str, size: int) -> None:
        populate(bench.server.client, bench.keys, new_owned(size), Populated(name, 0, {}))
        self._bench = bench
        self._name = name
        self._index = bench.keys.agent_index(name)
        self._away: bytes | None = None

    async def rename(self) -> Work:
        away = self._put_back(f"bare_{self._name}")
        return partial(self._bench.raw.rename, self._index, away)

    async def revoke(self) -> Work:
        order = Order.checked()
        self._put_back(order.job_id)
        work = self._bench.manager.agent_deletion(self._name)
        # Asked for again and again while none is done, the requests would join.
        return partial(self._bench.manager.open_job, work, order, join=False)

    def _put_back(self, next_job_id: str) -> bytes:
        """Where the index will lie next."""
        if self._away is not None:
            self._bench.server.client.rename(self._away, self._index)
        self._away = self._bench.keys.prefix + f"trash:{next_job_id}:1".encode()
        return self._away
