"""Dry runs: what a job would remove, from the same selection as the job, changing nothing."""

import asyncio
import json

from agent_runtime.manager.jobs.pace import pace_of
from agent_runtime.manager.jobs.spec import JobSpec
from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.models.jobs import JobKind, Preview
from agent_runtime.manager.scripts import proofs as proof_scripts
from agent_runtime.manager.scripts.proofs import Measured
from agent_runtime.manager.scripts.replies import START
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.transport.script_client import ScriptClient

#: Session ids in a preview.
_SAMPLE = 5


class Previewer:
    """Measures what jobs would do."""

    def __init__(self, client: ScriptClient, partitions: Partitions, settings: Settings) -> None:
        self._client = client
        self._partitions = partitions
        self._settings = settings

    async def preview(self, spec: JobSpec) -> Preview:
        """What the job would remove now."""
        measured = Measured()
        for keys in spec.scope(self._partitions):
            measured = measured.plus(await self._measure(spec, keys))
        return Preview(
            kind=spec.kind,
            target=spec.about,
            sessions=measured.sessions,
            checkpoints=measured.checkpoints,
            bytes=measured.bytes,
            sample=measured.sample[:_SAMPLE],
        )

    async def affected(self, spec: JobSpec) -> tuple[int, int]:
        """What `max_affected` is compared with: what the script that opens the job counts again itself, the
        sessions in the home partition, and what it does not, those elsewhere or checkpoints to be pruned.
        """
        if spec.kind is JobKind.PRUNE:
            return 0, (await self.preview(spec)).affected
        selection = "live" if spec.kind.deletes else "due"
        counts = (
            proof_scripts.count_affected(self._client, keys, spec.target(keys).index_key, selection)
            for keys in spec.scope(self._partitions)
        )
        home, *others = await asyncio.gather(*counts)
        return home, sum(others)

    async def _measure(self, spec: JobSpec, keys: Keys) -> Measured:
        """One partition's share, page by page, so that other clients keep their latency."""
        measured, cursor = Measured(), START
        pace = pace_of(self._settings)
        while True:
            async with pace.batch() as size:
                page, cursor = await self._measure_page(spec, keys, cursor, size)
            measured = measured.plus(page)
            if cursor == START:
                return measured

    async def _measure_page(
        self, spec: JobSpec, keys: Keys, cursor: tuple[bytes, bytes], limit: int
    ) -> tuple[Measured, tuple[bytes, bytes]]:
        index = spec.target(keys).index_key
        if spec.kind.deletes:
            return await proof_scripts.measure_sessions(self._client, keys, index, cursor, limit)
        if spec.kind is JobKind.SWEEP:
            return await proof_scripts.measure_expired(self._client, keys, cursor, limit)
        policy = spec.policy
        return await proof_scripts.measure_checkpoints(
            self._client,
            keys,
            index,
            cursor,
            limit,
            keep_last="" if policy.keep_last is None else policy.keep_last,
            max_age_us=policy.max_age_us,
            except_agents=json.dumps(policy.except_agents or []),
            session_id=policy.session_id or "",
        )
