"""Dry runs: what a job would remove, from the same selection as the job, changing nothing."""

import asyncio
import json

from agent_runtime.manager.jobs.pace import pace_of
from agent_runtime.manager.jobs.spec import Work
from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.models.jobs import JobKind, Preview
from agent_runtime.manager.scripts import proofs as proof_scripts
from agent_runtime.manager.scripts.proofs import Measured
from agent_runtime.manager.scripts.replies import START
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.transport.script_client import Store

#: Session ids in a preview.
_SAMPLE = 5


class Previewer:
    """Measures what jobs would do."""

    def __init__(self, store: Store, partitions: Partitions, settings: Settings) -> None:
        self._store = store
        self._partitions = partitions
        self._settings = settings

    async def preview(self, work: Work) -> Preview:
        """What the job would remove now."""
        measured = Measured()
        for keys in work.scope(self._partitions):
            measured = measured.plus(await self._measure(work, keys))
        return Preview(
            kind=work.kind,
            target=work.about,
            sessions=measured.sessions,
            checkpoints=measured.checkpoints,
            bytes=measured.bytes,
            sample=measured.sample[:_SAMPLE],
        )

    async def affected(self, work: Work) -> tuple[int, int]:
        """What `max_affected` is compared with: what the script that opens the job counts again itself, the
        sessions in the home partition, and what it does not, those elsewhere or checkpoints to be pruned.
        """
        if work.kind is JobKind.PRUNE:
            return 0, (await self.preview(work)).affected
        works_on = "live" if work.kind.deletes else "due"
        counts = (
            proof_scripts.count_affected(self._store, keys, work.target(keys).index_key, works_on)
            for keys in work.scope(self._partitions)
        )
        home, *others = await asyncio.gather(*counts)
        return home, sum(others)

    async def _measure(self, work: Work, keys: Keys) -> Measured:
        """One partition's share, page by page, so that other clients keep their latency."""
        measured, cursor = Measured(), START
        pace = pace_of(self._settings)
        while True:
            async with pace.batch() as size:
                page, cursor = await self._measure_page(work, keys, cursor, size)
            measured = measured.plus(page)
            if cursor == START:
                return measured

    async def _measure_page(
        self, work: Work, keys: Keys, cursor: tuple[bytes, bytes], limit: int
    ) -> tuple[Measured, tuple[bytes, bytes]]:
        index = work.target(keys).index_key
        if work.kind.deletes:
            return await proof_scripts.measure_sessions(self._store, keys, index, cursor, limit)
        if work.kind is JobKind.SWEEP:
            return await proof_scripts.measure_expired(self._store, keys, cursor, limit)
        policy = work.policy
        return await proof_scripts.measure_checkpoints(
            self._store,
            keys,
            index,
            cursor,
            limit,
            keep_last="" if policy.keep_last is None else policy.keep_last,
            max_age_us=policy.max_age_us,
            except_agents=json.dumps(policy.except_agents or []),
            session_id=policy.session_id or "",
        )
