"""`make planted`: plants each bug in a copy of the checkout and runs the test that should catch it.

Arguments: names of areas; without any, all. Ends with 1 if a bug was not caught.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.planted.bugs import ROOT, Bug, load_bugs, planted

_TIMEOUT_SECONDS = 300

#: What pytest's exit status says of the bug; anything else means that the test could not be run.
_VERDICTS = {0: "SURVIVED", 1: "caught", None: "caught: it hung"}


@contextmanager
def _copy_of_checkout() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    with tempfile.TemporaryDirectory(prefix="agent-sessions-planted-") as folder:
        copy = Path(folder)
        for name in listed.stdout.splitlines():
            if (ROOT / name).exists():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name, follow_symlinks=False)
        yield copy


def _verdict(copy: Path, bug: Bug) -> str:
    place = copy / bug.file
    sound = place.read_text()
    place.write_text(planted(bug))
    try:
        status, output = _run_pytest(copy, bug.test.split())
    finally:
        place.write_text(sound)
    verdict = _VERDICTS.get(status, f"NOT RUN (pytest ended with {status})")
    if not verdict.startswith("caught"):
        sys.stderr.write(output[-3000:])
    return verdict


def _run_pytest(copy: Path, tests: list[str]) -> tuple[int | None, str]:
    """Exit status (None where it hung) and output. What the tests started ends with them."""
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-x", "--timeout=60", *tests],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": f"{copy}:{copy / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            output, _ = running.communicate(timeout=_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            return None, ""
        return running.returncode, output


def main(areas: list[str]) -> int:
    """How many bugs were not caught, as an exit status."""
    bugs = [bug for area in areas or ["*"] for bug in load_bugs(area)]
    missed = 0
    with _copy_of_checkout() as copy:
        for bug in bugs:
            verdict = _verdict(copy, bug)
            missed += not verdict.startswith("caught")
            sys.stdout.write(f"{verdict:8} {bug.area}: {bug.bug}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(bugs) - missed} of {len(bugs)} planted bugs were caught\n")
    return int(missed > 0 or not bugs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
