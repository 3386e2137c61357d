"""The program `agent-sessions`, also `python -m worker.cli`."""

import io
import sys

from agent_runtime.worker.cli.program import program


def main() -> None:
    """Runs the command that the arguments name, and exits."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # ids are any text, terminals are not
            stream.reconfigure(errors="backslashreplace")
    program(prog_name="agent-sessions")


if __name__ == "__main__":
    main()
