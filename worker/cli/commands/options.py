"""Arguments and options that several commands have, and what they mean."""

from typing import Annotated, NamedTuple

import typer

UserId = Annotated[str, typer.Argument(metavar="USER_ID", help="Whose sessions.", show_default=False)]
AgentId = Annotated[str, typer.Argument(metavar="AGENT_ID", help="Whose sessions.", show_default=False)]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; asks nothing.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Stay until the job ends.")]
Timeout = Annotated[
    str | None,
    typer.Option(metavar="SECONDS", help="With --wait: stay no longer."),
]
Grace = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION",
        help="Begin after so long (90, 90s, 15m, 2h, 7d); until then `jobs undo` takes it back.",
    ),
]
MaxAffected = Annotated[
    int | None,
    typer.Option(metavar="N", help="Refuse if more would go."),
]
AskedBy = Annotated[str | None, typer.Option(metavar="TEXT", help="Who asks.")]
Reason = Annotated[str | None, typer.Option(metavar="TEXT", help="Why.")]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(metavar="TEXT", help="The same key is the same job."),
]


class Conduct(NamedTuple):
    """How a request for a job is to be carried out, as it was typed."""

    dry_run: bool
    wait: bool
    timeout: str | None
    grace: str | None
    max_affected: int | None
    requested_by: str | None
    reason: str | None
    idempotency_key: str | None
    yes: bool
    as_json: bool
