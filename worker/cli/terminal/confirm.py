"""Asking whether to go on, before something goes for good."""

import sys

from agent_runtime.worker.cli.terminal.exit_status import RefusedError
from agent_runtime.worker.cli.terminal.output import Output


def need_somebody(as_json: bool, otherwise: str) -> None:
    """Refuses to ask where nobody can answer. `otherwise` says what to pass instead."""
    if as_json or not sys.stdin.isatty():
        raise RefusedError(f"there is nobody to ask whether to go on: pass {otherwise}")


def confirm(out: Output, what_would_go: str) -> None:
    """Goes on if the answer is yes."""
    out.note(what_would_go)
    out.stderr.print("Go on? [y/N] ", end="")
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):  # Ctrl-D
        out.note("")
    if answer.strip().lower() not in ("y", "yes"):
        raise RefusedError("not confirmed; nothing was changed")
