"""The program `agent-sessions`, also `python -m agent_runtime.worker.cli`."""

import io
import sys

from agent_runtime.worker.cli.program import program


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an id may hold characters that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    program(prog_name="agent-sessions")


if __name__ == "__main__":
    main()
