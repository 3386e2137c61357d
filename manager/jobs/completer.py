"""The end of a job: it takes no more requests, a deletion is proven, and its record is closed."""

import asyncio

from agent_runtime.manager.jobs.receipts import Receipts
from agent_runtime.manager.jobs.records import Record, Records
from agent_runtime.manager.models.jobs import JobState
from agent_runtime.manager.scripts import jobs as scripts
from agent_runtime.manager.settings import Settings

#: A sweep a minute that finds nothing would fill the history. A job that had nothing to do is kept for an
#: hour, or for so many periods of the sweep, so that there is always one to show that sweeps are made.
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

    async def complete(self, job: Record) -> Record:
        """End the job, unless there is more to do after all: a request has joined, or the job was stopped.

        Return the job's record as it is then.
        """
        home, joins = job.home, job.home.fields["joins"]
        # All parts are drained, and no request can reopen one without changing `joins`: their counts are
        # final.
        (is_closed, fields), others = await asyncio.gather(
            scripts.close_to_joins(self._client, home.keys, job.job_id, spec=job.spec.name, joins=joins),
            self._records.read_others(job),
        )
        job = self._records.of_home(job.job_id, home._replace(fields=fields), others)
        if not is_closed:
            return job
        receipt, retention_ms = "", self._retention_ms
        if job.spec.deletes and job.state is not JobState.UNDOING:
            issued = await self._receipts.issue(job)
            receipt = issued.model_dump_json() if issued else ""
        elif job.total_of("total") == 0:
            retention_ms = min(retention_ms, self._retention_of_nothing_ms)
        fields = await scripts.complete_job(
            self._client, home.keys, job.job_id, retention_ms=retention_ms, receipt=receipt
        )
        job = self._records.of_home(job.job_id, home._replace(fields=fields), others)
        if job.state in (JobState.DONE, JobState.UNDONE):
            await self._records.keep_others(job, retention_ms, exactly=True)
        return job
