"""The commands of `agent-sessions`, put together."""

from importlib.metadata import version
from typing import Annotated

import typer

from agent_runtime.worker.cli.commands import bulk, check, jobs, receipts, status, user_keys

program = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agent-sessions {version('agent-sessions')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
]


@program.callback(
    invoke_without_command=True,
    epilog="Exit status: 0 success, 1 failure, 2 usage error, 3 refused, 130 interrupted.",
)
def main(context: typer.Context, version: Version = False) -> None:
    """Delete, prune and sweep sessions of LLM agents, control the jobs that do so, and check the store.

    Settings come from the environment (AGENT_SESSIONS_REDIS_URL and so on) or a .env file.
    """
    _help_without_command(context)


def _help_without_command(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _group(help_text: str) -> typer.Typer:
    group = typer.Typer(help=help_text, rich_markup_mode=None)
    group.callback(invoke_without_command=True)(_help_without_command)
    return group


_jobs = _group("List, watch and control jobs.")
_receipts = _group("List the receipts of deletions and verify their chain.")
for commands in (bulk, check, status, user_keys):
    commands.add_to(program)
jobs.add_to(_jobs)
receipts.add_to(_receipts)
program.add_typer(_jobs, name="jobs")
program.add_typer(_receipts, name="receipts")
