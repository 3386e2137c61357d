"""Says at the end how many inputs there were."""

import pytest

from tests.fuzz import inputs


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if inputs.taken:
        seed = "the same in every run" if inputs.SEED is None else f"FUZZ_SEED={inputs.SEED}"
        terminalreporter.write_sep("=", f"fuzz: {sum(inputs.taken.values()):,} inputs, {seed}")
        for test, count in sorted(inputs.taken.items(), key=lambda each: -each[1]):
            terminalreporter.write_line(f"{count:>10,}  {test}")
