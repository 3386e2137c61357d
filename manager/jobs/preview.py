"""Dry runs: they measure what a job would remove, by the same selection, and change nothing."""

import asyncio

from agent_runtime.manager.jobs.pace import pace_of
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.models.jobs import Preview
from agent_runtime.manager.scripts import proofs as proof_scripts
from agent_runtime.manager.scripts.batches import Selection
from agent_runtime.manager.scripts.proofs import Measured
from agent_runtime.manager.scripts.replies import START
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.transport.script_client import ScriptClient

#: Session ids in a preview.
_SAMPLE = 5


class Previewer:
    """Measures what jobs would remove."""

    def __init__(self, client: ScriptClient, partitions: Partitions, settings: Settings) -> None:
        self._client = client
        self._partitions = partitions
        self._settings = settings

    async def preview(self, spec: JobSpec) -> Preview:
        """Return what the job would remove now."""
        measured = Measured()
        for keys in spec.scope(self._partitions):
            measured = measured.plus(await self._measure(spec, keys))
        return Preview(
            kind=spec.kind,
            target=spec.target,
            sessions=measured.sessions,
            checkpoints=measured.checkpoints,
            affected=measured.checkpoints if spec.unit == "checkpoint" else measured.sessions,
            bytes=measured.bytes,
            sample=measured.sample[:_SAMPLE],
        )

    async def affected(self, spec: JobSpec) -> tuple[int, int]:
        """Return the two counts whose sum `max_affected` limits: the one that the script which opens the job
        makes again itself, of sessions in the home partition, and the one that it does not make, of sessions
        elsewhere or of checkpoints to be pruned.
        """
        if spec.unit == "checkpoint":
            return 0, (await self.preview(spec)).affected
        home, *others = await asyncio.gather(
            *(self._count(spec.selection_in(keys)) for keys in spec.scope(self._partitions))
        )
        return home, sum(others)

    async def _count(self, selection: Selection) -> int:
        members = "live" if selection.members == "all" else selection.members
        return await proof_scripts.count_affected(self._client, selection.index_key, members)

    async def _measure(self, spec: JobSpec, keys: Keys) -> Measured:
        """Measure one partition's share, page by page, so that other clients keep their latency."""
        measured, cursor = Measured(), START
        pace = pace_of(self._settings)
        while True:
            async with pace.batch() as size:
                page, cursor = await spec.measure(self._client, keys, cursor, size)
            measured = measured.plus(page)
            if cursor == START:
                return measured
