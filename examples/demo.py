"""The main job end to end, on a real server with real workers: `make demo`.

A caller holds conversations with five agents, deletes one agent and undoes that, deletes a user and an agent
through the queue, prunes checkpoints, and leaves short-lived sessions for Beat to sweep. Every count is
compared with the caller's own records. Exit status 0 if all agree, else 1 with the differences.
"""

import asyncio
import secrets
import shutil
import sys
from pathlib import Path

import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agent_runtime.manager import SessionManager, Settings
from agent_runtime.manager.jobs import JobKind
from agent_runtime.tasks import Job, SessionJobs
from agent_runtime.worker.dev import Stack, running_stack
from examples.expected import Conversation, Expected
from examples.report import Report

_FOLDER = Path(".data/demo")
_SESSIONS, _USERS, _AGENTS, _TURNS = 20_000, 500, 5, 3
_AT_ONCE = 500
_SHORT_LIVED, _SHORT_TTL_SECONDS = 2_000, 3
_SWEEP_INTERVAL_SECONDS = 5
_JOB_TIMEOUT_SECONDS = 60


class Demo:
    """The caller, with its manager, its own records and its report."""

    def __init__(self, stack: Stack, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._conn = redis.Redis.from_url(stack.redis_url)
        self._manager = SessionManager(self._conn, max_sessions=50_000, settings=settings)
        self._jobs = SessionJobs(self._manager)
        self._expected = Expected()
        self._console = console
        self.report = Report(console)

    async def run(self) -> None:
        with self._bars() as bars:
            await self._hold_conversations(bars)
            await self._check_reads()
            await self._delete_agent_and_undo("agent-1")
            await self._delete_user(bars, "user-7")
            await self._delete_agent(bars, "agent-2")
            await self._prune(bars)
            await self._let_expire(bars)
            await self._clean_up()
            await self._check_receipts()

    def _bars(self) -> Progress:
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        return Progress(*columns, console=self._console)

    async def _hold_conversations(self, bars: Progress) -> None:
        bar = bars.add_task("Hold conversations", total=_SESSIONS)
        with self.report.measure("hold conversations", "requests") as requests:
            for first in range(0, _SESSIONS, _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, _SESSIONS))
                for conversation in await asyncio.gather(*map(self._converse, numbers)):
                    self._expected.add(conversation)
                requests.append(len(numbers) * (1 + 2 * _TURNS))
                bars.advance(bar, len(numbers))

    async def _converse(self, number: int) -> Conversation:
        """Hold one conversation: each turn reads the last state and saves a longer one."""
        user_id, agent_id = f"user-{number % _USERS}", f"agent-{number % _AGENTS}"
        session = await self._manager.create_session(user_id, agent_id, {"channel": "web"})
        state: dict[str, object] = {}
        for turn in range(1, _TURNS + 1):
            latest = await self._manager.get_latest_checkpoint(session.session_id)
            history = latest["data"]["history"] if latest else []
            history += [
                {"role": "user", "content": f"Question {turn} of conversation {number}?"},
                {"role": "assistant", "content": f"Answer {turn}, given to {user_id} by {agent_id}."},
            ]
            state = {"turn": turn, "history": history}
            await self._manager.save_checkpoint(session.session_id, state)
        return Conversation(session.session_id, user_id, agent_id, _TURNS, state)

    async def _check_reads(self) -> None:
        agents = [f"agent-{number}" for number in range(_AGENTS)]
        with self.report.measure("list sessions by agent", "sessions") as listed:
            for agent_id in agents:
                listed.append(len(await self._manager.get_sessions_by_agent(agent_id)))
        for agent_id, found in zip(agents, listed, strict=True):
            self.report.compare(f"sessions of {agent_id}", found, self._expected.count(agent_id=agent_id))
        users = [f"user-{number}" for number in range(_USERS)]
        with self.report.measure("count sessions by user", "users") as counted:
            counts = await asyncio.gather(*map(self._manager.get_active_session_count, users))
            counted.append(len(users))
        for user_id, found in zip(users, counts, strict=True):
            self.report.compare(f"sessions of {user_id}", found, self._expected.count(user_id=user_id))
        for conversation in self._expected.sample(200):
            latest = await self._manager.get_latest_checkpoint(conversation.session_id)
            state = latest and latest["data"]
            self.report.compare(f"last state of {conversation.session_id}", state, conversation.last_state)

    async def _delete_agent_and_undo(self, agent_id: str) -> None:
        before = await self._manager.get_sessions_by_agent(agent_id)
        with self.report.measure(f"delete {agent_id}, then undo", "sessions") as restored:
            job = await self._jobs.delete_agent_sessions(agent_id, grace=60, reason="by mistake")
            revoked = await self._manager.get_sessions_by_agent(agent_id)
            restored.append((await job.undo()).restored)
        self.report.compare(f"sessions of {agent_id} while revoked", revoked, [])
        after = await self._manager.get_sessions_by_agent(agent_id)
        self.report.compare(f"sessions of {agent_id} after the undo", after == before, True)

    async def _delete_user(self, bars: Progress, user_id: str) -> None:
        with self.report.measure(f"delete {user_id}", "sessions") as deleted:
            job = await self._jobs.delete_user_sessions(user_id)
            at_once = await self._manager.get_sessions_by_user(user_id)
            self.report.compare(f"sessions of {user_id} once revoked", at_once, [])
            deleted.append(await self._follow(bars, f"Delete {user_id}", job))
        self.report.compare(
            f"deleted sessions of {user_id}", sum(deleted), self._expected.remove(user_id=user_id)
        )
        await self._check_total(f"after deleting {user_id}")

    async def _delete_agent(self, bars: Progress, agent_id: str) -> None:
        with self.report.measure(f"delete {agent_id}", "sessions") as deleted:
            job = await self._jobs.delete_agent_sessions(agent_id)
            at_once = await self._manager.get_sessions_by_agent(agent_id)
            self.report.compare(f"sessions of {agent_id} once revoked", at_once, [])
            deleted.append(await self._follow(bars, f"Delete {agent_id}", job))
        self.report.compare(
            f"deleted sessions of {agent_id}", sum(deleted), self._expected.remove(agent_id=agent_id)
        )
        await self._check_total(f"after deleting {agent_id}")

    async def _prune(self, bars: Progress) -> None:
        with self.report.measure("prune to 1 checkpoint", "checkpoints") as pruned:
            job = await self._jobs.prune_checkpoints(keep_last=1)
            pruned.append(await self._follow(bars, "Prune to 1 checkpoint", job))
        self.report.compare("pruned checkpoints", sum(pruned), self._expected.prunable(keep_last=1))

    async def _let_expire(self, bars: Progress) -> None:
        short_lived = SessionManager(self._conn, _SHORT_TTL_SECONDS, 50_000, settings=self._settings)
        creations = (short_lived.create_session(f"guest-{n}", "agent-0") for n in range(_SHORT_LIVED))
        await asyncio.gather(*creations)
        bar = bars.add_task("Wait for Beat's sweep", total=_SHORT_LIVED)
        swept = 0
        with self.report.measure("expire and be swept by Beat", "sessions") as counts:
            async with asyncio.timeout(_JOB_TIMEOUT_SECONDS):
                while swept < _SHORT_LIVED:
                    await asyncio.sleep(0.1)
                    swept = await self._swept()
                    bars.update(bar, completed=swept)
            counts.append(swept)
        self.report.compare("swept sessions", swept, _SHORT_LIVED)
        await self._check_total("after the sweep")

    async def _swept(self) -> int:
        """Return what all sweeps removed. Beat chooses the ids of their jobs, so they are listed."""
        page = await self._jobs.list(kind=JobKind.SWEEP, limit=1_000)
        return sum(job.removed for job in page.jobs)

    async def _clean_up(self) -> None:
        with self.report.measure("delete the other agents", "sessions") as deleted:
            agents = [f"agent-{number}" for number in range(_AGENTS)]
            jobs = [await self._jobs.delete_agent_sessions(agent_id) for agent_id in agents]
            for job in jobs:
                deleted.append((await job.wait(_JOB_TIMEOUT_SECONDS)).removed)
        self.report.compare("deleted in the end", sum(deleted), len(self._expected))
        left = await self._manager.get_active_session_count()
        self.report.compare("sessions in the end", left, 0)

    async def _check_receipts(self) -> None:
        chain = await self._manager.jobs.receipts.verify()
        self.report.compare("problems in the chain of receipts", chain.problems, [])
        receipts = [receipt async for receipt in self._manager.jobs.receipts.all()]
        residue = sum(receipt.residue.sessions for receipt in receipts)
        self.report.compare("residue of the deletions", residue, 0)
        self.report.compare("receipts", len(receipts), 2 + _AGENTS)

    async def _follow(self, bars: Progress, title: str, job: Job) -> int:
        """Show the progress of a job until it is done, and return what it removed."""
        bar = bars.add_task(title, total=None)
        async with asyncio.timeout(_JOB_TIMEOUT_SECONDS):
            async for progress in job.watch():
                bars.update(bar, completed=progress.done, total=progress.total)
        return progress.removed

    async def _check_total(self, when: str) -> None:
        found = await self._manager.get_active_session_count()
        self.report.compare(f"sessions {when}", found, len(self._expected))


def main() -> int:
    """Run the demo and return its exit status."""
    console = Console()
    namespace = f"demo-{secrets.token_hex(4)}"
    shutil.rmtree(_FOLDER, ignore_errors=True)
    settings = {
        "AGENT_SESSIONS_NAMESPACE": namespace,
        "AGENT_SESSIONS_SWEEP_INTERVAL_SECONDS": str(_SWEEP_INTERVAL_SECONDS),
        "AGENT_SESSIONS_JOB_RETENTION_SECONDS": "3600",
    }
    with running_stack(_FOLDER, standard_ports=False, **settings) as stack:
        console.print("Starting a server, two workers, Beat and Flower.")
        console.print(f"Redis   {stack.redis_url}\nFlower  {stack.flower_url}\nLogs    {stack.log_folder}\n")
        demo = Demo(
            stack,
            Settings(redis_url=stack.redis_url, namespace=namespace, job_retention_seconds=3_600),
            console,
        )
        try:
            asyncio.run(demo.run())
        except TimeoutError as error:
            demo.report.differences.append(f"a job timed out: {error or 'see the logs'}")
        demo.report.print()
        console.print("Stopping everything. `make dev` starts the stack and keeps it running.")
    if not demo.report.differences:
        shutil.rmtree(_FOLDER)
    return 1 if demo.report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
