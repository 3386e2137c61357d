"""Conversations as agents keep them, in made-up words, as long and as varied as those of English."""

import random
from typing import Any

#: Beginnings, middles and ends of words, and the small words that come again and again.
_PARTS = """
b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh sl st str t th tr v w wh
a ai e ea ee i ie o oa oo ou u
b ck d ft g ght l ll m mp n nd ng nt p r rd rn s ss st t th ve x
the of to and a in is that it for was on are as with you be at or have this from not but what
"""
_BEGINNINGS, _MIDDLES, _ENDS, _SMALL = (line.split() for line in _PARTS.strip().splitlines())

#: Roughly the length of a question and of an answer, characters.
_QUESTION, _ANSWER = 110, 440


def vocabulary(size: int = 1_500) -> list[str]:
    """So many words, the same each time."""
    dice = random.Random(1)
    words = {"".join(dice.choice(part) for part in (_BEGINNINGS, _MIDDLES, _ENDS)) for _ in range(3 * size)}
    longer = {f"{one}{dice.choice(['ing', 'ed', 'er', 'ly', 'tion', 'al'])}" for one in sorted(words)[::3]}
    return dice.sample(sorted(words | longer), size)


def talk(turns: int, seed: int = 0) -> list[dict[str, str]]:
    """The history of a conversation: in each turn, a question and an answer."""
    dice = random.Random(seed)
    words = vocabulary()
    # As Zipf has it: the n-th word of a language comes about 1/n as often as the first.
    weights = [1 / (place + 10) for place in range(len(words))]

    def text(characters: int) -> str:
        said = ""
        while len(said) < characters:
            count = dice.randint(5, 18)
            some = [
                dice.choice(_SMALL) if dice.random() < 0.4 else dice.choices(words, weights)[0]
                for _ in range(count)
            ]
            said += " ".join(some).capitalize() + dice.choice([". ", ". ", "? ", ", so: "])
        return said.strip()

    return [
        {"role": role, "content": text(length)}
        for _ in range(turns)
        for role, length in (("user", _QUESTION), ("assistant", _ANSWER))
    ]


def checkpoint_of(history: list[dict[str, str]], turn: int) -> dict[str, Any]:
    """The state after that turn, with the whole history up to it."""
    return {"turn": turn, "model": "small-1", "history": history[: 2 * turn]}
