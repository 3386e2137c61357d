"""`make demo`: the main job, end to end, on a real server with real workers.

A caller holds conversations with five agents, retires one and takes that back, erases a user and an agent
through the queue, prunes checkpoints, and leaves short-lived sessions for Beat to sweep. Every count is
checked against the caller's own bookkeeping. Exit status 0 if all agree, 1 with what differs.
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
from examples.bookkeeping import Books, Conversation
from examples.report import Report

_FOLDER = Path(".data/demo")
_SESSIONS, _USERS, _AGENTS, _TURNS = 20_000, 500, 5, 3
_AT_ONCE = 500
_SHORT_LIVED, _SHORT_TTL_SECONDS = 2_000, 3
_SWEEP_INTERVAL_SECONDS = 5
_JOB_TIMEOUT_SECONDS = 60


class Demo:
    """The caller: its manager, its books, and what it shows."""

    def __init__(self, stack: Stack, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._conn = redis.Redis.from_url(stack.redis_url)
        self._manager = SessionManager(self._conn, max_sessions=50_000, settings=settings)
        self._jobs = SessionJobs(self._manager)
        self._books = Books()
        self._console = console
        self.report = Report(console)

    async def run(self) -> None:
        with self._bars() as bars:
            await self._hold_conversations(bars)
            await self._check_what_is_readable()
            await self._change_of_mind("agent-1")
            await self._erase_user(bars, "user-7")
            await self._erase_agent(bars, "agent-2")
            await self._prune(bars)
            await self._let_expire(bars)
            await self._clean_up()
            await self._check_receipts()

    def _bars(self) -> Progress:
        columns = (
            TextColumn("{task.description:<34}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        return Progress(*columns, console=self._console)

    async def _hold_conversations(self, bars: Progress) -> None:
        bar = bars.add_task(f"conversations of {_TURNS} turns", total=_SESSIONS)
        with self.report.measured("requests in conversations", "requests") as requests:
            for first in range(0, _SESSIONS, _AT_ONCE):
                numbers = range(first, min(first + _AT_ONCE, _SESSIONS))
                for conversation in await asyncio.gather(*map(self._converse, numbers)):
                    self._books.add(conversation)
                requests.append(len(numbers) * (1 + 2 * _TURNS))
                bars.advance(bar, len(numbers))

    async def _converse(self, number: int) -> Conversation:
        """One session: each turn reads the state that the last one left, and saves a longer one."""
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

    async def _check_what_is_readable(self) -> None:
        agents = [f"agent-{number}" for number in range(_AGENTS)]
        with self.report.measured("sessions listed by agent", "sessions") as listed:
            for agent_id in agents:
                listed.append(len(await self._manager.get_sessions_by_agent(agent_id)))
        for agent_id, found in zip(agents, listed, strict=True):
            self.report.compare(f"sessions of {agent_id}", found, self._books.count(agent_id=agent_id))
        users = [f"user-{number}" for number in range(_USERS)]
        with self.report.measured("users counted", "users") as counted:
            counts = await asyncio.gather(*map(self._manager.get_active_session_count, users))
            counted.append(len(users))
        for user_id, found in zip(users, counts, strict=True):
            self.report.compare(f"sessions of {user_id}", found, self._books.count(user_id=user_id))
        for conversation in self._books.sample(200):
            latest = await self._manager.get_latest_checkpoint(conversation.session_id)
            state = latest and latest["data"]
            self.report.compare(f"last state of {conversation.session_id}", state, conversation.last)

    async def _change_of_mind(self, agent_id: str) -> None:
        before = await self._manager.get_sessions_by_agent(agent_id)
        with self.report.measured(f"revoke {agent_id} and undo it", "sessions") as restored:
            job = await self._jobs.delete_agent_sessions(agent_id, grace=60, reason="a mistake")
            revoked = await self._manager.get_sessions_by_agent(agent_id)
            restored.append((await job.undo()).restored)
        self.report.compare(f"sessions of {agent_id} while revoked", revoked, [])
        after = await self._manager.get_sessions_by_agent(agent_id)
        self.report.compare(f"sessions of {agent_id} after the undo", after == before, True)

    async def _erase_user(self, bars: Progress, user_id: str) -> None:
        with self.report.measured(f"erase {user_id}", "sessions") as erased:
            job = await self._jobs.delete_user_sessions(user_id)
            at_once = await self._manager.get_sessions_by_user(user_id)
            self.report.compare(f"sessions of {user_id}, erased but not reclaimed", at_once, [])
            erased.append(await self._follow(bars, f"erase {user_id}", job))
        self.report.compare(f"erased of {user_id}", sum(erased), self._books.remove(user_id=user_id))
        await self._check_total(f"after erasing {user_id}")

    async def _erase_agent(self, bars: Progress, agent_id: str) -> None:
        with self.report.measured(f"erase {agent_id}", "sessions") as erased:
            job = await self._jobs.delete_agent_sessions(agent_id)
            at_once = await self._manager.get_sessions_by_agent(agent_id)
            self.report.compare(f"sessions of {agent_id}, erased but not reclaimed", at_once, [])
            erased.append(await self._follow(bars, f"erase {agent_id}", job))
        self.report.compare(f"erased of {agent_id}", sum(erased), self._books.remove(agent_id=agent_id))
        await self._check_total(f"after erasing {agent_id}")

    async def _prune(self, bars: Progress) -> None:
        with self.report.measured("prune to the newest checkpoint", "checkpoints") as pruned:
            job = await self._jobs.prune_checkpoints(keep_last=1)
            pruned.append(await self._follow(bars, "prune to the newest checkpoint", job))
        self.report.compare("checkpoints pruned", sum(pruned), self._books.prunable(keep_last=1))

    async def _let_expire(self, bars: Progress) -> None:
        brief = SessionManager(self._conn, _SHORT_TTL_SECONDS, 50_000, settings=self._settings)
        creations = (brief.create_session(f"guest-{n}", "agent-0") for n in range(_SHORT_LIVED))
        await asyncio.gather(*creations)
        bar = bars.add_task("expired, waiting for Beat to sweep", total=_SHORT_LIVED)
        swept = 0
        with self.report.measured(f"live {_SHORT_TTL_SECONDS} s, be swept by Beat", "sessions") as counts:
            async with asyncio.timeout(_JOB_TIMEOUT_SECONDS):
                while swept < _SHORT_LIVED:
                    await asyncio.sleep(0.1)
                    swept = await self._swept()
                    bars.update(bar, completed=swept)
            counts.append(swept)
        self.report.compare("sessions swept by Beat", swept, _SHORT_LIVED)
        await self._check_total("after the sweep")

    async def _swept(self) -> int:
        """What all sweeps removed, from their records in the ledger: Beat's jobs have ids of their own."""
        page = await self._jobs.list(kind=JobKind.SWEEP, limit=1_000)
        return sum(job.removed for job in page.jobs)

    async def _clean_up(self) -> None:
        with self.report.measured("erase the other agents", "sessions") as erased:
            agents = [f"agent-{number}" for number in range(_AGENTS)]
            jobs = [await self._jobs.delete_agent_sessions(agent_id) for agent_id in agents]
            for job in jobs:
                erased.append((await job.wait(_JOB_TIMEOUT_SECONDS)).removed)
        self.report.compare("erased in the end", sum(erased), len(self._books))
        left = await self._manager.get_active_session_count()
        self.report.compare("sessions in the end", left, 0)

    async def _check_receipts(self) -> None:
        chain = await self._manager.jobs.receipts.verify()
        self.report.compare("problems in the chain of receipts", chain.problems, [])
        receipts = [receipt async for receipt in self._manager.jobs.receipts.all()]
        residue = sum(receipt.residue.sessions for receipt in receipts)
        self.report.compare("sessions left of what was deleted", residue, 0)
        self.report.compare("receipts", len(receipts), 2 + _AGENTS)

    async def _follow(self, bars: Progress, title: str, job: Job) -> int:
        """Shows a job's progress until it is done; what it removed."""
        bar = bars.add_task(title, total=None)
        async with asyncio.timeout(_JOB_TIMEOUT_SECONDS):
            async for progress in job.watch():
                bars.update(bar, completed=progress.done, total=progress.total)
        return progress.removed

    async def _check_total(self, when: str) -> None:
        found = await self._manager.get_active_session_count()
        self.report.compare(f"sessions {when}", found, len(self._books))


def main() -> int:
    """Runs the demo; its exit status."""
    console = Console()
    namespace = f"demo-{secrets.token_hex(4)}"
    shutil.rmtree(_FOLDER, ignore_errors=True)
    settings = {
        "AGENT_SESSIONS_NAMESPACE": namespace,
        "AGENT_SESSIONS_SWEEP_INTERVAL_SECONDS": str(_SWEEP_INTERVAL_SECONDS),
        "AGENT_SESSIONS_JOB_RETENTION_SECONDS": "3600",
    }
    with running_stack(_FOLDER, standard_ports=False, **settings) as stack:
        console.print(f"Redis   {stack.redis_url}\nFlower  {stack.flower_url}\nLogs    {stack.log_folder}\n")
        demo = Demo(
            stack,
            Settings(redis_url=stack.redis_url, namespace=namespace, job_retention_seconds=3_600),
            console,
        )
        try:
            asyncio.run(demo.run())
        except TimeoutError as error:
            demo.report.differences.append(f"not done in time: {error or 'see the logs'}")
        demo.report.print()
        console.print(f"Flower showed it at {stack.flower_url} while it ran; `make dev` keeps it there.")
    if not demo.report.differences:
        shutil.rmtree(_FOLDER)
    return 1 if demo.report.differences else 0


if __name__ == "__main__":
    sys.exit(main())
