"""Confirmation before data is removed."""

import sys

from agent_runtime.worker.cli.terminal.exit_status import RefusedError
from agent_runtime.worker.cli.terminal.output import Output


def require_terminal(as_json: bool, instead: str) -> None:
    """Refuse the command if nobody can confirm it. `instead` names the options that need no confirmation."""
    if as_json:
        raise RefusedError(f"--json does not ask for confirmation; pass {instead}")
    if not sys.stdin.isatty():
        raise RefusedError(f"confirmation needs a terminal; pass {instead}")


def confirm(out: Output, consequence: str) -> None:
    """Return if the user agrees to the consequence.

    Raises:
        RefusedError: the user does not.
    """
    out.note(consequence)
    out.stderr.print("Continue? [y/N] ", end="")
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # Ctrl-D
        out.note("")
    if answer.strip().lower() not in ("y", "yes"):
        raise RefusedError("not confirmed; nothing was changed")
