"""List the receipts of deletions, and verify their chain."""

import typer

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import Receipt
from agent_runtime.worker.cli.actions.connection import connect
from agent_runtime.worker.cli.terminal.exit_status import FAILURE, SUCCESS
from agent_runtime.worker.cli.terminal.formatting import command_of, count, plain
from agent_runtime.worker.cli.terminal.output import Output


def list_(as_json: bool) -> None:
    out = Output(as_json)
    with connect() as connection:
        receipts = connection.run(_all(connection.manager))
    headings = ("no.>", "job", "kind", "finished", "sessions>", "left>")
    rows = [_row(receipt) for receipt in receipts]
    shown = out.table(headings, rows, shrink="kind") if rows else "No receipts."
    out.result({"receipts": [each.model_dump(mode="json") for each in receipts]}, shown)


def verify(last_hash: str | None, as_json: bool) -> None:
    out = Output(as_json)
    with connect() as connection:
        check = connection.run(connection.manager.jobs.receipts.verify())
        found = last_hash is None or connection.run(_is_in_chain(connection.manager, last_hash))
    problems = check.problems
    if not found:
        problems = [
            *problems,
            "--last-hash is not in the chain: its receipt was cut off, was altered or has expired",
        ]
    chain = "No receipts." if check.first is None else f"Receipts {check.first} to {check.last}."
    last = [f"Last hash: {check.last_hash}"] if check.last_hash else []
    number = count(len(problems), "problem", "problems")
    verdict = f"The chain has {number}:" if problems else "The chain is valid."
    document = check.model_dump(mode="json") | {"problems": problems, "valid": not problems}
    out.result(document, f"{chain} {verdict}", *(f"  {each}" for each in problems), *last)
    raise typer.Exit(FAILURE if problems else SUCCESS)


async def _all(manager: SessionManager) -> list[Receipt]:
    return [receipt async for receipt in manager.jobs.receipts.all()]


async def _is_in_chain(manager: SessionManager, hash_: str) -> bool:
    async for receipt in manager.jobs.receipts.all():
        if receipt.hash == hash_:
            return True
    return False


def _row(receipt: Receipt) -> tuple[str, ...]:
    return (
        str(receipt.number),
        plain(receipt.job_id),
        command_of(receipt.kind, None),
        receipt.finished_at.astimezone().strftime("%Y-%m-%d %H:%M"),
        f"{receipt.sessions:,}",
        f"{receipt.residue.sessions:,}",
    )
