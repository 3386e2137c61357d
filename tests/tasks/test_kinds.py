"""A kind of job is one class: with a class and the script of its batch, everything about jobs works."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import JobKind, JobSpec, JobState
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.scripts import proofs
from agent_runtime.manager.scripts.batches import BatchReply, Selection
from agent_runtime.manager.transport.script import Script
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_id
from agent_runtime.tasks import SessionJobs
from agent_runtime.tasks.celery_config import MAINTENANCE_QUEUE, queue_of
from agent_runtime.worker.cli.terminal.formatting import describe_state
from tests.support.sessions import create_sessions

_LIBRARIES = Path(__file__).parents[2] / "manager" / "scripts" / "lua" / "lib"

_BODY = """
local job_key, jobs_key, index = KEYS[1], KEYS[2], KEYS[3]
local job_id, limit = ARGV[1], tonumber(ARGV[2])
local closed = closed_reply(job_key)
if closed then
  return closed
end
local first = tonumber(redis.call('HGET', job_key, 'done'))
local found = redis.call('ZRANGE', index, first, first + limit - 1)
record_batch(job_key, jobs_key, job_id, { done = #found, removed = #found }, now_ms())
return batch_reply(job_key, #found == limit)
"""


def _script() -> Script:
    source = "".join((_LIBRARIES / f"{name}.lua").read_text() for name in ("base", "jobs")) + _BODY
    return Script("review_batch", source, hashlib.sha1(source.encode()).hexdigest())


@dataclass(frozen=True)
class _Review(JobSpec):
    """Looks at the sessions of a user, some at a time."""

    past, step, is_upkeep = "reviewed", "reviewing sessions", True

    user_id: str

    @property
    def target(self) -> str:
        return self.user_id

    def check(self, max_id_bytes: int) -> None:
        check_id("user_id", self.user_id, max_id_bytes)

    def selection_in(self, keys: Keys) -> Selection:
        return Selection(keys.user_index(self.user_id), "live")

    async def batch(self, client: ScriptClient, keys: Keys, job_id: str, limit: int) -> BatchReply:
        places = [keys.job(job_id), keys.jobs, keys.user_index(self.user_id)]
        reply: bytes = await client.call(_script(), places, [job_id, min(limit, 10)])
        return BatchReply(reply.decode())

    async def measure(self, client: ScriptClient, keys: Keys, cursor: Any, limit: int) -> Any:
        return await proofs.measure_sessions(client, keys, keys.user_index(self.user_id), cursor, limit)


@pytest.fixture
def review(monkeypatch: pytest.MonkeyPatch) -> type[JobSpec]:
    """The class, in the place of a kind that has a name already."""
    monkeypatch.setattr(_Review, "kind", JobKind.SWEEP, raising=False)
    monkeypatch.setitem(JobSpec._kinds, JobKind.SWEEP, _Review)
    return _Review


async def test_a_kind_of_job_is_one_class(manager: SessionManager, review: Any) -> None:
    await create_sessions(manager, 25)
    jobs = SessionJobs(manager)
    preview = await jobs.preview(review("ann"))
    assert (preview.sessions, preview.affected, preview.target) == (25, 25, "ann")

    job = await jobs.enqueue(review("ann"), reason="once a year")
    await job.pause()
    await job.resume()
    done = await manager.jobs.run(job.id)

    assert (done.state, done.total, done.done, done.removed) == (JobState.DONE, 25, 25, 25)
    assert (done.target, done.reason, done.receipt) == ("ann", "once a year", None)
    assert describe_state(done)[0].endswith(": 25 sessions reviewed.")
    assert queue_of(done.kind) == MAINTENANCE_QUEUE
    [listed] = (await jobs.list(target="ann")).jobs
    assert listed == done


async def test_a_kind_of_job_is_named_if_it_fails(open_manager: Any, raw: redis.Redis, review: Any) -> None:
    manager = open_manager(max_attempts=1)
    await create_sessions(manager, 3)
    job_id = (await manager.jobs.open(review("ann"))).job_id
    run = await manager.jobs._runner._begin(job_id, 0, None)  # and dies, long ago
    record = run.job.home.keys.job(job_id)
    raw.hset(record, "attempt:0", b"1 " + raw.hget(record, "attempt:0").partition(b" ")[2])
    failed = await manager.jobs.run(job_id)
    assert failed.state is JobState.FAILED
    assert "The job was reviewing sessions in partition 0" in str(failed.error)
