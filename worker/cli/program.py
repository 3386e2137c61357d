"""The commands of `agent-sessions`, put together."""

from importlib.metadata import version
from typing import Annotated

import typer

from agent_runtime.worker.cli.commands import bulk as bulk_commands
from agent_runtime.worker.cli.commands import check as check_command
from agent_runtime.worker.cli.commands import jobs as job_commands
from agent_runtime.worker.cli.commands import receipts as receipt_commands
from agent_runtime.worker.cli.commands import status as status_command
from agent_runtime.worker.cli.commands import user_keys as key_commands

program = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agent-sessions {version('agent-sessions')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
]


@program.callback(
    invoke_without_command=True,
    epilog="Exit status: 0 done, 1 failed, 2 used wrongly, 3 refused, 130 interrupted.",
)
def main(context: typer.Context, version: Version = False) -> None:
    """Erase, prune and sweep sessions of LLM agents, look after the jobs that do it, and check the store.

    Settings come from the environment (AGENT_SESSIONS_REDIS_URL and so on) or a .env file.
    """
    _help_if_alone(context)


def _help_if_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _group(help_text: str) -> typer.Typer:
    group = typer.Typer(help=help_text, rich_markup_mode=None)
    group.callback(invoke_without_command=True)(_help_if_alone)
    return group


_jobs = _group("List, watch and steer jobs.")
_receipts = _group("List the receipts of deletions and verify their chain.")
bulk_commands.add_to(program)
check_command.add_to(program)
status_command.add_to(program)
key_commands.add_to(program)
job_commands.add_to(_jobs)
receipt_commands.add_to(_receipts)
program.add_typer(_jobs, name="jobs")
program.add_typer(_receipts, name="receipts")
