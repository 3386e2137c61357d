"""How the project's prose is written, measured: `python -m tests.support.language` prints today's figures.

The rules are in CONTRIBUTING.md, under "Language".
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.processes import ROOT

#: What is installed.
SOURCES = ("manager", "tasks", "worker", "src/agent_runtime", "beat_schedule.py")

#: Words with which a docstring begins that names a question instead of an action.
QUESTION_WORDS = ("What", "Whether", "How", "Of", "Where", "Has", "Who", "Why", "Which")

#: After "where", these begin a condition much more often than the description of a place.
_SUBJECTS = (
    "a|an|the|this|that|these|those|it|its|they|their|he|she|you|your|we|our|there|one|two|some|any|all|both"
    "|each|every|no|none|nothing|nobody|something|somebody|someone|anything|anybody|other|others|more|fewer"
    "|much|many|less|only|not|neither|either|most|several"
)
_VERBS = "is|are|was|were|has|have|had|can|cannot|may|must|need|needs"
_WHERE = re.compile(rf"\bwhere (?:(?:{_SUBJECTS})|\w+ (?:{_VERBS}))\b", re.IGNORECASE)

#: Places in spite of that, by how the text goes on.
PLACES = (
    "where a deletion looks",
    "where a listing of jobs begins",
    "where a page",
    "where each message begins",
    "where each user has a key that can be erased",
    "where it is now",
    "where it lies",
    "where it was read",
    "where the next begins",
    "where the next page begins",
    "where the state of a job",
    "where the tests are",
    "where the time goes",
    "where they are",
    "where you keep",
)


class Passage(NamedTuple):
    """A comment, a text or a paragraph, with its place."""

    path: Path
    line: int
    text: str


def docstrings() -> list[Passage]:
    """Return the docstrings of all modules, classes and functions that are installed."""
    found = []
    for path in _files(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.append(Passage(path, getattr(node, "lineno", 1), ast.get_docstring(node) or ""))
    return [each for each in found if each.text]


def begins_with_a_question(docstring: str) -> bool:
    """Return whether the first word of a docstring is a question word."""
    return re.split(r"\W", docstring, maxsplit=1)[0] in QUESTION_WORDS


def prose() -> Iterator[Passage]:
    """Yield every comment and text of the installed code, Lua scripts included, and every page."""
    for path in _files(".py"):
        yield from _python(path)
    for path in _files(".lua"):
        yield from _blocks(path, r"--.*")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "tests").rglob("*.md")]:
        yield from _blocks(path, r".*\S.*")


def conditions_with_where(text: str) -> list[str]:
    """Return the places of a text in which "where" seems to stand for "if"."""
    found = (text[match.start() :] for match in _WHERE.finditer(text))
    return [" ".join(rest.split()[:5]) for rest in found if not rest.lower().startswith(PLACES)]


def _files(suffix: str) -> list[Path]:
    """Files of the sources, each once: the links in src/agent_runtime are not followed."""
    places = [ROOT / name for name in SOURCES]
    found = [path for place in places for path in ([place] if place.is_file() else place.rglob(f"*{suffix}"))]
    return sorted({path for path in found if path.suffix == suffix and not path.is_symlink()})


def _python(path: Path) -> Iterator[Passage]:
    """Comments, those in successive lines as one, and texts."""
    comment = Passage(path, 0, "")
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("#: ")
            if token.start[0] == last + 1:
                comment = comment._replace(text=f"{comment.text} {text}")
            else:
                yield comment
                comment = Passage(path, token.start[0], text)
            last = token.start[0]
        elif token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            yield Passage(path, token.start[0], " ".join(token.string.split()))
    yield comment


def _blocks(path: Path, pattern: str) -> Iterator[Passage]:
    """Successive lines that match, as one text."""
    block = Passage(path, 0, "")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.search(pattern, line)
        if found and block.text:
            block = block._replace(text=f"{block.text} {found[0].lstrip('- ')}")
        elif found:
            block = Passage(path, number, found[0].lstrip("- "))
        else:
            yield block
            block = Passage(path, 0, "")
    yield block


def main() -> None:
    """Print the share of docstrings that begin with a question word, and every "where" that means "if"."""
    all_docstrings = docstrings()
    questions = [each for each in all_docstrings if begins_with_a_question(each.text)]
    hits = [(each, found) for each in prose() for found in conditions_with_where(each.text)]
    write = sys.stdout.write
    if "-v" in sys.argv:
        for each in questions:
            write(f"{each.path.relative_to(ROOT)}:{each.line}: {each.text.splitlines()[0]}\n")
        for each, found in hits:
            write(f"{each.path.relative_to(ROOT)}:{each.line}: …{found}…\n")
    share = 100 * len(questions) / len(all_docstrings)
    write(f"{len(questions)} of {len(all_docstrings)} docstrings begin with a question word: {share:.1f} %\n")
    write(f'"where" stands for "if" in {len(hits)} places\n')


if __name__ == "__main__":
    main()
