"""Number of inputs of each fuzz test, and a count of the inputs of all of them.

`make test` gives them some 12,000, the same in every run. `make fuzz INPUTS=1000000` gives them that many new
ones, from a seed that is printed at the end; `FUZZ_SEED=<seed>` with it repeats the run.
"""

import functools
import inspect
import math
import os
import secrets
from collections.abc import Callable, Iterable
from typing import Any

import hypothesis
from hypothesis import HealthCheck, strategies

#: Approximate sum of the shares of all tests, so that a run without `FUZZ_INPUTS` has the shares as inputs.
_ALL_SHARES = 9_500
_WANTED = int(os.environ.get("FUZZ_INPUTS") or 0)

#: None if the inputs are the same in every run.
SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbits(32)) if _WANTED else None

#: Inputs taken so far, by test.
taken: dict[str, int] = {}


def fuzz(
    share: int, *, corpus: Iterable[dict[str, Any]] = (), **inputs: strategies.SearchStrategy[Any]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a test run with so many inputs, after those of the corpus.

    Args:
        share: number of this test's inputs in a usual run.
        corpus: arguments of the test that once failed or might fail.
        inputs: strategies for the arguments.
    """

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        made = hypothesis.given(**inputs)(_counted(test))
        for case in reversed(list(corpus)):
            made = hypothesis.example(**case)(made)
        if SEED is not None:
            made = hypothesis.seed(SEED)(made)
        return hypothesis.settings(
            max_examples=math.ceil(share * (_WANTED or _ALL_SHARES) / _ALL_SHARES),
            derandomize=SEED is None,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )(made)

    return decorate


def _counted(test: Callable[..., Any]) -> Callable[..., Any]:
    def count() -> None:
        taken[test.__name__] = taken.get(test.__name__, 0) + 1

    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def run(*args: Any, **kwargs: Any) -> None:
            count()
            await test(*args, **kwargs)

    else:

        @functools.wraps(test)
        def run(*args: Any, **kwargs: Any) -> None:
            count()
            test(*args, **kwargs)

    return run
