"""Runs the examples of docstrings, and finds the public names that must have one."""

import ast
import doctest
import inspect
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

#: An id that this package made, or that stands for one: `'ckpt_9k2Zt0c…'`.
_ID = re.compile(r"\b(sess|ckpt|job)_\w+…?")


def docstrings_of(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield name and docstring of each of these public values, and of each public method of the classes.

    A method that a class inherits from another public class is that class's.
    """
    classes = [value for value in values.values() if inspect.isclass(value)]
    for name, value in values.items():
        yield name, inspect.getdoc(value) or ""
        if inspect.isclass(value):
            bases = [other for other in classes if other is not value and other in value.__mro__]
            inherited = {each for base in bases for each in base.__mro__}
            own = [base for base in value.__mro__ if _is_ours(base) and base not in inherited]
            for method in sorted({name for base in own for name in vars(base)}):
                if not method.startswith("_") and callable(getattr(value, method)):
                    yield f"{name}.{method}", _docstring_of_method(value, method)


def _is_ours(cls: type) -> bool:
    return cls.__module__.startswith("agent_runtime.")


def _docstring_of_method(cls: type, method: str) -> str:
    """Return the docstring of a method; of the overridden method if only that one has an example."""
    defined = [inspect.getdoc(vars(base)[method]) or "" for base in cls.__mro__ if method in vars(base)]
    return next((each for each in defined if has_example(each)), defined[0])


def has_example(docstring: str) -> bool:
    """Return True if the docstring has an example that can be run."""
    return ">>> " in docstring


async def run_examples(docstring: str, names: dict[str, Any], ids: Mapping[str, str]) -> list[str]:
    """Run the examples of a docstring one after the other. Return a line for each that does not hold.

    Args:
        names: global names of the examples.
        ids: for each id in the examples, the one to put in its place.

    An example that shows no output may have any.
    """
    problems = []
    for example in doctest.DocTestParser().get_examples(docstring):
        source = re.sub(r"\b\w+\b", lambda word: ids.get(word[0], word[0]), example.source)
        wanted = example.want if example.exc_msg is None else example.exc_msg
        try:
            shown = await _run(source, names)
            failed = example.exc_msg is not None
        except Exception as error:
            shown = f"{type(error).__module__}.{type(error).__qualname__}: {error}\n"
            failed = example.exc_msg is None
        if failed or (wanted and not _is_alike(wanted, shown)):
            problems.append(f"{source.strip()}\nshows {shown!r}\ninstead of {wanted!r}")
    return problems


async def _run(source: str, names: dict[str, Any]) -> str:
    """Run one example, which may await. Return what it prints, or the value of its expression."""
    body = ast.parse(source).body
    is_expression = len(body) == 1 and isinstance(body[0], ast.Expr)
    code = compile(
        source, "example", "eval" if is_expression else "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    with redirect_stdout(io.StringIO()) as printed:
        value = eval(code, names)
        if code.co_flags & inspect.CO_COROUTINE:
            value = await value
    return printed.getvalue() + (f"{value!r}\n" if is_expression and value is not None else "")


def _is_alike(wanted: str, shown: str) -> bool:
    wanted, shown = (_ID.sub(r"\1_id", text).replace("…", "...") for text in (wanted, shown))
    return doctest.OutputChecker().check_output(wanted, shown, _FLAGS)
