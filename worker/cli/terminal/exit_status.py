"""How a command ends: what goes wrong is one clear line and an exit status, and no traceback."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

DONE, FAILED, USED_WRONGLY, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130


class RefusedError(Exception):
    """The command was not carried out, and nothing was changed. The message says what to do."""


class UsageError(Exception):
    """What was typed is not acceptable."""


@contextmanager
def exit_status(as_json: bool) -> Iterator[None]:
    """Around what a command does, its imports included: ends it with the status that fits."""
    try:
        from agent_runtime.manager import AgentSessionsError

        try:
            yield
        except (AgentSessionsError, RefusedError, UsageError) as error:
            _tell(error, as_json)
            raise typer.Exit(_status_of(error)) from None
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        raise typer.Exit(INTERRUPTED) from None


def _tell(error: Exception, as_json: bool) -> None:
    sys.stderr.write(f"Error: {error}{_advice(error)}\n")
    if as_json:
        sys.stdout.write(json.dumps({"error": str(error), "kind": type(error).__name__}) + "\n")


def _advice(error: Exception) -> str:
    from agent_runtime.manager import StoreError, StoreRefusedError, TooManyAffectedError

    if "AGENT_SESSIONS_USER_KEYS_URL" in str(error):  # it names the other server already
        return ""
    if isinstance(error, StoreRefusedError):
        return " (the server of AGENT_SESSIONS_REDIS_URL)"
    if isinstance(error, StoreError):
        return " Is the server of AGENT_SESSIONS_REDIS_URL the right one, and running?"
    return ": --dry-run" if isinstance(error, TooManyAffectedError) else ""


def _status_of(error: Exception) -> int:
    from agent_runtime.manager import (
        InvalidArgumentError,
        JobNotFoundError,
        JobStateError,
        SettingsError,
        TooManyAffectedError,
    )

    if isinstance(error, UsageError | InvalidArgumentError | SettingsError | JobNotFoundError):
        return USED_WRONGLY
    if isinstance(error, RefusedError | TooManyAffectedError | JobStateError):
        return REFUSED
    return FAILED
