"""Compare the lock file with the known vulnerabilities, by pip-audit.

Exit with 1 on a finding, or if a requirement has no hash. pip-audit also exits with 0 if it could look
nothing up. This script says so loudly, and never makes it look like a clean result.

    python .ci/audit.py [lock file] [further arguments of pip-audit]
"""

import json
import subprocess
import sys

_NOTHING_REACHED = "NOT AUDITED: no advisory source could be reached"


def main(lock_file: str = "requirements.lock", *further: str) -> int:
    """Audit the lock file, and return the exit status."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--requirement",
        lock_file,
        "--require-hashes",
        "--disable-pip",
    ]
    command += ["--progress-spinner", "off", "--format", "json", *further]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (our own command)
    try:
        looked_up = json.loads(done.stdout)["dependencies"]
    except ValueError:
        refused = "hash" in done.stderr and "ConnectionError" not in done.stderr
        print(done.stderr[-2000:] if refused else _NOTHING_REACHED)  # noqa: T201
        return int(refused)
    found = [each for each in looked_up if each.get("vulns")]
    missed = [each["name"] for each in looked_up if "skip_reason" in each]
    for each in found:
        print(f"{each['name']} {each['version']}:", *(known["id"] for known in each["vulns"]))  # noqa: T201
    if missed:
        print(f"{_NOTHING_REACHED} for {len(missed)} of {len(looked_up)} packages")  # noqa: T201
    else:
        print(f"{len(looked_up)} packages audited, {len(found)} with known vulnerabilities")  # noqa: T201
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
