"""The exit status of a command. An error is one line on stderr, without a traceback."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

SUCCESS, FAILURE, USAGE_ERROR, REFUSED, INTERRUPTED = 0, 1, 2, 3, 130


class RefusedError(Exception):
    """The command was not carried out, and nothing was changed. The message says what to do."""


class UsageError(Exception):
    """An argument or option is not acceptable."""


@contextmanager
def exit_status(as_json: bool) -> Iterator[None]:
    """Run the block, imports included, and end the command with the status of the error it raises."""
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
    from agent_runtime.manager import StoreError, StoreRefusedError
    from agent_runtime.manager.jobs import TooManyAffectedError

    if "AGENT_SESSIONS_USER_KEYS_URL" in str(error):  # the error names the other server already
        return ""
    if isinstance(error, StoreRefusedError):
        return " (server of AGENT_SESSIONS_REDIS_URL)"
    if isinstance(error, StoreError):
        return " (check that AGENT_SESSIONS_REDIS_URL is right and that its server is running)"
    return ": pass --dry-run" if isinstance(error, TooManyAffectedError) else ""


def _status_of(error: Exception) -> int:
    from agent_runtime.manager import InvalidArgumentError, SettingsError
    from agent_runtime.manager.jobs import JobNotFoundError, JobStateError, TooManyAffectedError

    if isinstance(error, UsageError | InvalidArgumentError | SettingsError | JobNotFoundError):
        return USAGE_ERROR
    if isinstance(error, RefusedError | TooManyAffectedError | JobStateError):
        return REFUSED
    return FAILURE
