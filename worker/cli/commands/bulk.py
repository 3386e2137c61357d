"""The commands that enqueue a job: `delete-user`, `delete-agent`, `prune` and `sweep`."""

from typing import Annotated

import typer

from agent_runtime.worker.cli.commands.options import AgentId, RequestOptions, UserId, with_request_options
from agent_runtime.worker.cli.terminal.exit_status import exit_status

_SESSION = typer.Option("--session", metavar="ID", help="Prune only this session.")
_AGENT = typer.Option("--agent", metavar="ID", help="Prune only the sessions of this agent.")
_KEEP_LAST = typer.Option(metavar="N", help="Keep the newest N checkpoints of each session.")
_OLDER_THAN = typer.Option(metavar="AGE", help="Remove checkpoints older than this (90, 90s, 15m, 2h, 7d).")


@with_request_options
def delete_user(options: RequestOptions, user_id: UserId) -> None:
    """Delete all sessions of a user.

    Nobody can read them once this command returns; workers free their memory later.
    """
    with exit_status(options.as_json):
        from agent_runtime.worker.cli.actions import bulk

        bulk.delete_user(user_id, options)


@with_request_options
def delete_agent(options: RequestOptions, agent_id: AgentId) -> None:
    """Delete all sessions of an agent.

    Nobody can read them once this command returns; workers free their memory later.
    """
    with exit_status(options.as_json):
        from agent_runtime.worker.cli.actions import bulk

        bulk.delete_agent(agent_id, options)


@with_request_options
def prune(
    options: RequestOptions,
    session: Annotated[str | None, _SESSION] = None,
    agent: Annotated[str | None, _AGENT] = None,
    keep_last: Annotated[int | None, _KEEP_LAST] = None,
    older_than: Annotated[str | None, _OLDER_THAN] = None,
) -> None:
    """Remove old checkpoints of all sessions, of one, or of an agent's.

    With both limits, a checkpoint is removed if it exceeds either. The newest checkpoint of a session and
    pinned checkpoints are kept.
    """
    with exit_status(options.as_json):
        from agent_runtime.worker.cli.actions import bulk

        bulk.prune(session, agent, keep_last, older_than, options)


@with_request_options
def sweep(options: RequestOptions) -> None:
    """Remove expired sessions from the indexes.

    Beat does so every minute. Lists and counts are right without it.
    """
    with exit_status(options.as_json):
        from agent_runtime.worker.cli.actions import bulk

        bulk.sweep(options)


def add_to(program: typer.Typer) -> None:
    """Add these commands, each with an example below its help."""
    for command, example in (
        (delete_user, 'delete-user user_123 --reason "right to erasure" --wait'),
        (delete_agent, "delete-agent chatbot --grace 1h --max-affected 5000"),
        (prune, "prune --agent chatbot --keep-last 5 --yes"),
        (sweep, "sweep --yes --wait"),
    ):
        name, _, _ = example.partition(" ")
        program.command(name, epilog=f"Example: agent-sessions {example}")(command)
