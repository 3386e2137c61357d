"""How a job ends: it takes no more requests, a deletion is proven, and its record is closed."""

from agent_runtime.manager.jobs.receipts import Receipts
from agent_runtime.manager.jobs.records import Record, Records
from agent_runtime.manager.models.jobs import JobState
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.settings import Settings

#: A sweep a minute that finds nothing would fill the ledger: what had nothing to do is kept for an hour, or
#: for so many periods of the sweep, so that there is always one to tell that sweeps are made.
_RETENTION_OF_NOTHING_MS, _SWEEPS_KEPT = 3_600_000, 5


class JobCompleter:
    """Ends jobs whose work is done. Each step can be repeated by whoever comes next."""

    def __init__(self, records: Records, receipts: Receipts, settings: Settings) -> None:
        self._records = records
        self._client = records.client
        self._receipts = receipts
        self._retention_ms = settings.job_retention_seconds * 1000
        sweeps_kept_ms = round(settings.sweep_interval_seconds * 1000) * _SWEEPS_KEPT
        self._retention_of_nothing_ms = max(_RETENTION_OF_NOTHING_MS, sweeps_kept_ms)

    async def complete(self, record: Record) -> None:
        """Ends the job, unless there is more to do after all: a request has joined, or it was paused."""
        keys, spec = record.home.keys, record.spec
        joins = record.home.fields["joins"]
        if not await scripts.close_to_joins(self._client, keys, record.job_id, spec=spec.name, joins=joins):
            return
        record = await self._records.read(record.job_id)  # with all that was counted by now
        if record.state.ended:  # another ended it just now; one that is undone has no receipt
            return
        receipt, retention_ms = "", self._retention_ms
        if spec.kind.deletes and record.state is not JobState.UNDOING:
            issued = await self._receipts.issue(record)
            receipt = issued.model_dump_json() if issued else ""
        elif record.total_of("total") == 0:
            retention_ms = min(retention_ms, self._retention_of_nothing_ms)
        finished = await scripts.complete_job(
            self._client, keys, record.job_id, retention_ms=retention_ms, receipt=receipt
        )
        if finished:
            await self._records.keep_others(record, retention_ms, exactly=True)
