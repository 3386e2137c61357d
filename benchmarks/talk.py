"""Conversations in English that do not repeat themselves.

The text comes from Python's own reference manual, which every Python has. It is prose of many authors, and
each sentence occurs once (until all 250 KB are used, which is further back than compression looks).
"""

import re
from functools import cache
from itertools import cycle
from pydoc_data.topics import topics
from typing import Any

from agent_runtime.manager.json_text import as_json

#: Approximate length of a question and of an answer, characters.
_QUESTION, _ANSWER = 60, 310
#: Marks of text that is not prose: examples, grammars, headings.
_NOT_PROSE = re.compile(r">>>|::=|\*\*\*\*|====|----")
_SHORTEST_PARAGRAPH = 60


@cache
def sentences() -> list[str]:
    """Return all sentences of the manual, in its order."""
    manual = "\n\n".join(topics.values()).translate({ord('"'): "'", ord("\\"): "/"})
    manual = manual.encode("ascii", "ignore").decode()  # now a character is a byte of JSON
    paragraphs = (re.sub(r"\s+", " ", part).strip() for part in manual.split("\n\n"))
    prose = (
        each
        for each in paragraphs
        if len(each) > _SHORTEST_PARAGRAPH and each.endswith(".") and not _NOT_PROSE.search(each)
    )
    found = (sentence for paragraph in prose for sentence in re.split(r"(?<=[.?!]) (?=[A-Z])", paragraph))
    return list(dict.fromkeys(found))


def talk(turns: int, begin: int = 0) -> list[dict[str, str]]:
    """Return the history of a conversation: a question and an answer in each turn, different for each
    `begin`."""
    texts = sentences()
    start = begin * 1_009 % len(texts)
    said = cycle(texts[start:] + texts[:start])

    def text(characters: int) -> str:
        spoken = next(said)
        while len(spoken) < characters:
            spoken += " " + next(said)
        return spoken

    return [
        {"role": role, "content": text(length)}
        for _ in range(turns)
        for role, length in (("user", _QUESTION), ("assistant", _ANSWER))
    ]


def checkpoint_of(history: list[dict[str, str]], turn: int) -> dict[str, Any]:
    """Return the state after that turn, with the whole history up to it."""
    return {"turn": turn, "model": "small-1", "history": history[: 2 * turn]}


@cache
def conversation(size_bytes: int) -> dict[str, Any]:
    """Return a checkpoint of a conversation whose JSON is exactly this long."""
    history: list[dict[str, str]] = []
    data: dict[str, Any] = {"turn": 0, "note": "", "history": history}
    room = size_bytes - len(as_json(data))
    for message in talk(size_bytes // 400 + 2):
        size = len(as_json(message)) + 1
        if size > room:
            break
        history.append(message)
        room -= size
    rest = size_bytes - len(as_json(data))
    data["note"] = " ".join(sentences()[-rest // 50 - 10 :])[:rest]
    assert len(as_json(data)) == size_bytes
    return data
