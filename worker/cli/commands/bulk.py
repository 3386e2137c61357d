"""The commands that ask for a job."""

from collections.abc import Callable
from typing import Annotated

import typer

from agent_runtime.worker.cli.commands.options import (
    AgentId,
    AsJson,
    AskedBy,
    Conduct,
    DryRun,
    Grace,
    IdempotencyKey,
    MaxAffected,
    Reason,
    Timeout,
    UserId,
    Wait,
    Yes,
)
from agent_runtime.worker.cli.terminal.exit_status import exit_status

_SESSION = typer.Option("--session", metavar="ID", help="Only this session.")
_AGENT = typer.Option("--agent", metavar="ID", help="Only the sessions of this agent.")
_KEEP_LAST = typer.Option(metavar="N", help="Keep the newest so many of each session.")
_OLDER_THAN = typer.Option(metavar="AGE", help="Drop those of this age (90, 90s, 15m, 2h, 7d) and more.")


def delete_user(
    user_id: UserId,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    grace: Grace = None,
    max_affected: MaxAffected = None,
    yes: Yes = False,
    requested_by: AskedBy = None,
    reason: Reason = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Delete all sessions that a user has.

    None of them can be read from then on; workers free their memory.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.bulk import ask_for, user_deletion

        conduct = Conduct(
            dry_run, wait, timeout, grace, max_affected, requested_by, reason, idempotency_key, yes, as_json
        )
        ask_for(user_deletion(user_id), conduct)


def delete_agent(
    agent_id: AgentId,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    grace: Grace = None,
    max_affected: MaxAffected = None,
    yes: Yes = False,
    requested_by: AskedBy = None,
    reason: Reason = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Delete all sessions that an agent has.

    None of them can be read from then on; workers free their memory.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.bulk import agent_deletion, ask_for

        conduct = Conduct(
            dry_run, wait, timeout, grace, max_affected, requested_by, reason, idempotency_key, yes, as_json
        )
        ask_for(agent_deletion(agent_id), conduct)


def prune(
    session: Annotated[str | None, _SESSION] = None,
    agent: Annotated[str | None, _AGENT] = None,
    keep_last: Annotated[int | None, _KEEP_LAST] = None,
    older_than: Annotated[str | None, _OLDER_THAN] = None,
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    grace: Grace = None,
    max_affected: MaxAffected = None,
    yes: Yes = False,
    requested_by: AskedBy = None,
    reason: Reason = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Remove checkpoints that are over a limit.

    Of one session, of an agent's sessions, or of all. With both limits, a checkpoint goes when it is over
    either. The newest of a session and pinned ones stay.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.bulk import ask_for, pruning

        conduct = Conduct(
            dry_run, wait, timeout, grace, max_affected, requested_by, reason, idempotency_key, yes, as_json
        )
        ask_for(pruning(session, agent, keep_last, older_than), conduct)


def sweep(
    dry_run: DryRun = False,
    wait: Wait = False,
    timeout: Timeout = None,
    grace: Grace = None,
    max_affected: MaxAffected = None,
    yes: Yes = False,
    requested_by: AskedBy = None,
    reason: Reason = None,
    idempotency_key: IdempotencyKey = None,
    as_json: AsJson = False,
) -> None:
    """Remove what is left in the indexes of sessions that ran out.

    Beat does it every minute. Lists and counts are right without it.
    """
    with exit_status(as_json):
        from agent_runtime.worker.cli.actions.bulk import ask_for, expired_sweep

        conduct = Conduct(
            dry_run, wait, timeout, grace, max_affected, requested_by, reason, idempotency_key, yes, as_json
        )
        ask_for(expired_sweep(), conduct)


def add_to(program: typer.Typer) -> None:
    """Makes these functions commands, each with an example below its help."""
    examples: dict[Callable[..., None], str] = {
        delete_user: 'delete-user user_123 --reason "asked to be forgotten" --wait',
        delete_agent: "delete-agent chatbot --grace 1h --max-affected 5000",
        prune: "prune --agent chatbot --keep-last 5 --yes",
        sweep: "sweep --yes --wait",
    }
    for command, example in examples.items():
        name = example.partition(" ")[0]
        program.command(name, epilog=f"Example: agent-sessions {example}")(command)
