"""Arguments and options that several commands share."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

UserId = Annotated[str, typer.Argument(metavar="USER_ID", help="The user.", show_default=False)]
AgentId = Annotated[str, typer.Argument(metavar="AGENT_ID", help="The agent.", show_default=False)]
JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="The job.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout; never ask.")]

_DRY_RUN = typer.Option("--dry-run", help="Show what would be removed, and change nothing.")
_WAIT = typer.Option("--wait/--no-wait", help="Wait until the job ends.")
_TIMEOUT = typer.Option(metavar="DURATION", help="With --wait: stop waiting after this time.")
_GRACE = typer.Option(
    metavar="DURATION", help="Start after this time (90, 90s, 15m, 2h, 7d); `jobs undo` works until then."
)
_MAX_AFFECTED = typer.Option(metavar="N", help="Refuse to remove more than N sessions (prune: checkpoints).")
_REQUESTED_BY = typer.Option(metavar="TEXT", help="Record who requested the job.")
_REASON = typer.Option(metavar="TEXT", help="Record why.")
_IDEMPOTENCY_KEY = typer.Option(metavar="TEXT", help="Return the job that was enqueued with this key before.")


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """The options of every command that enqueues a job, as typed. Durations are still text."""

    dry_run: Annotated[bool, _DRY_RUN] = False
    wait: Annotated[bool, _WAIT] = False
    timeout: Annotated[str | None, _TIMEOUT] = None
    grace: Annotated[str | None, _GRACE] = None
    max_affected: Annotated[int | None, _MAX_AFFECTED] = None
    yes: Yes = False
    requested_by: Annotated[str | None, _REQUESTED_BY] = None
    reason: Annotated[str | None, _REASON] = None
    idempotency_key: Annotated[str | None, _IDEMPOTENCY_KEY] = None
    as_json: AsJson = False


def with_request_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command each field of RequestOptions as an option of its own.

    typer reads options from a function's signature, so this returns a function whose signature has the
    parameters of `command`, and behind them the fields in place of `command`'s first parameter.

    Example:
        >>> @with_request_options
        ... def sweep(options: RequestOptions) -> None: ...
    """
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type
        )
        for each in fields(RequestOptions)
    ]

    @functools.wraps(command)
    def with_options(**typed: Any) -> None:
        command(RequestOptions(**{each.name: typed.pop(each.name) for each in shared}), **typed)

    with_options.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    return with_options
