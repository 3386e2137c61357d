"""Watch a job until it ends, with a progress bar."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from agent_runtime.manager import StoreError
from agent_runtime.manager.jobs import JobProgress, JobState, JobWaitTimeoutError
from agent_runtime.tasks import Job
from agent_runtime.worker.cli.actions.connection import Connection
from agent_runtime.worker.cli.terminal.formatting import command_of, command_on
from agent_runtime.worker.cli.terminal.output import Output

Show = Callable[[JobProgress], None]


def watch_to_end(connection: Connection, job: Job, out: Output, timeout: float | None) -> JobProgress:
    """Show the job's progress until it ends, and return the last of it.

    Args:
        connection: to the store.
        job: the one to watch.
        out: shows the progress on its stderr.
        timeout: seconds; None to wait for ever.

    Raises:
        JobWaitTimeoutError: the job has not ended in time.
    """
    try:
        return connection.run(_watch(job, out, timeout))
    except (JobWaitTimeoutError, StoreError, KeyboardInterrupt):
        again = command_on("watch", job.id)
        out.note("The job continues without this command. To watch it again:", f"  {again}")
        raise


async def _watch(job: Job, out: Output, timeout: float | None) -> JobProgress:
    progress = await job.progress()
    with _bar(out) if out.stderr.is_terminal else _lines(out) as show:
        try:
            async with asyncio.timeout(timeout):
                async for progress in job.watch():
                    show(progress)
        except StoreError:  # one of its subclasses is a TimeoutError too
            raise
        except TimeoutError as error:
            raise JobWaitTimeoutError(f"the job is still {progress.state} after {timeout:g} s") from error
    return progress


@contextmanager
def _bar(out: Output) -> Iterator[Show]:
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        BarColumn(bar_width=14),
        TextColumn("{task.fields[counted]}"),
    )
    with Progress(*columns, console=out.stderr, expand=True) as bars:

        def show(job: JobProgress) -> None:
            bar = bars.task_ids[0] if bars.task_ids else bars.add_task("", counted="")
            undone = job.state in (JobState.UNDOING, JobState.UNDONE)
            bars.update(
                bar,
                description=f"{command_of(job.kind, job.target)}: {job.state}",
                completed=job.restored if undone else job.done,
                total=max(job.total, job.done) or (1 if job.state.ended else None),
                counted=_counted(job),
            )

        yield show


@contextmanager
def _lines(out: Output) -> Iterator[Show]:
    """Show a line for each state: the output is no terminal."""
    shown: set[JobState] = set()

    def show(job: JobProgress) -> None:
        if job.state not in shown:
            shown.add(job.state)
            out.note(f"{command_of(job.kind, job.target)}: {job.state} {_counted(job)}")

    yield show


def _counted(job: JobProgress) -> str:
    """Return the sessions done and in all, the rate, and the time left."""
    words = [f"{job.done:,}/{job.total:,}"]
    if job.rate_per_second:
        words.append(f"{job.rate_per_second:,.0f}/s")
    if job.estimated_end_at:
        left = max(0.0, (job.estimated_end_at - job.heartbeat_at).total_seconds())
        words.append(f"{timedelta(seconds=round(left))} left")
    return " ".join(words)
