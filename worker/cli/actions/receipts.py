"""The receipts of deletions: a list of them, and whether their chain holds."""

import typer

from agent_runtime.manager import Receipt, SessionManager
from agent_runtime.worker.cli.actions.connection import connected
from agent_runtime.worker.cli.terminal.exit_status import DONE, FAILED
from agent_runtime.worker.cli.terminal.formatting import count, plain, title_of
from agent_runtime.worker.cli.terminal.output import Output


def list_receipts(as_json: bool) -> None:
    out = Output(as_json)
    with connected() as here:
        receipts = here.run(_all(here.manager))
    headings = ("no.>", "job", "what", "ended", "sessions>", "left>")
    shown = out.table(headings, [_row(receipt) for receipt in receipts]) if receipts else "No receipts."
    out.result({"receipts": [each.model_dump(mode="json") for each in receipts]}, shown)


def verify_receipts(last_hash: str | None, as_json: bool) -> None:
    out = Output(as_json)
    with connected() as here:
        check = here.run(here.manager.jobs.receipts.verify())
        found = last_hash is None or here.run(_is_there(here.manager, last_hash))
    problems = check.problems
    if not found:
        problems = [
            *problems,
            "the hash given is not in the chain: its receipt was cut off or altered, or is no longer kept",
        ]
    chain = "No receipts." if check.first is None else f"Receipts {check.first} to {check.last}."
    last = [f"Last hash: {check.last_hash}"] if check.last_hash else []
    verdict = f"The chain has {count(len(problems), 'problems')}:" if problems else "The chain holds."
    document = check.model_dump(mode="json") | {"problems": problems, "holds": not problems}
    out.result(document, f"{chain} {verdict}", *(f"  {each}" for each in problems), *last)
    raise typer.Exit(FAILED if problems else DONE)


async def _all(manager: SessionManager) -> list[Receipt]:
    return [receipt async for receipt in manager.jobs.receipts.all()]


async def _is_there(manager: SessionManager, hash_: str) -> bool:
    async for receipt in manager.jobs.receipts.all():
        if receipt.hash == hash_:
            return True
    return False


def _row(receipt: Receipt) -> tuple[str, ...]:
    return (
        str(receipt.number),
        plain(receipt.job_id),
        title_of(receipt.kind, None),
        receipt.finished_at.astimezone().strftime("%Y-%m-%d %H:%M"),
        str(receipt.sessions),
        str(receipt.residue.sessions),
    )
