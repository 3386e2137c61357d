"""`make model`: run the machine for so many steps. Arguments: steps, seed."""

import secrets
import sys
import time

from tests.model.run import run


def main(steps: int, seed: int) -> None:
    print(f"{steps} steps from seed {seed}", flush=True)  # noqa: T201
    began = shown = time.monotonic()
    for tally in run(steps, seed, shrink=True):
        if time.monotonic() - shown > 10 or tally.steps >= steps:
            shown = time.monotonic()
            print(f"{tally.steps} steps, {tally.steps / (shown - began):.0f} a second", flush=True)  # noqa: T201
    for title, counts in (("rules", tally.rules), ("events", tally.events)):
        print(f"\n{title}:")  # noqa: T201
        for name, count in counts.most_common():
            print(f"{count:9} {name}")  # noqa: T201


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:] if argument]
    main(given[0] if given else 20_000, given[1] if len(given) > 1 else secrets.randbelow(2**32))
