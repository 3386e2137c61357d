"""How a checkpoint is cut into chunks, known ones and new."""

import itertools
import json
from typing import Any

import pytest

from agent_runtime.manager.chunks.chunker import cut
from agent_runtime.manager.chunks.recipe import (
    LONGEST_RECIPE,
    MOST_CHUNKS,
    Chunk,
    Recipe,
    Stream,
    joined,
    names_of,
)
from agent_runtime.manager.json_text import as_json

_LONG = "x" * 600


class _Cuts:
    """Cuts one checkpoint after the other, each time knowing the chunks of the one before."""

    def __init__(self) -> None:
        self.known: list[Chunk] = []
        self.stored: dict[str, bytes] = {}
        self.stream = Stream("00000000aa", itertools.count(1))

    def cut(self, data: dict[str, Any]) -> Recipe:
        numbers, same_numbers = itertools.tee(self.stream.numbers)
        self.stream = Stream(self.stream.stream, numbers)
        same_names = Stream(self.stream.stream, same_numbers)
        recipe = cut(data, as_json(data), self.known, self.stream)
        assert recipe is not None
        assert recipe == cut(data, as_json(data), self.known, same_names, self.stored)
        self.stored |= recipe.fresh
        self.known = [chunk.hashed(self.stored[chunk.name]) for chunk in recipe.chunks]
        assert json.loads(joined(recipe.head, recipe.literal, self.stored)) == data
        assert [name for place in names_of(recipe.head) for name in place] == [p.name for p in recipe.chunks]
        return recipe


def test_what_is_added_to_a_list_is_one_more_chunk() -> None:
    cuts = _Cuts()
    data = {"turn": 1, "history": [_LONG, _LONG + "1"], "left": {"in": "place"}}
    assert cuts.cut(data).head == "00000000aa:1"
    assert cuts.cut(data).fresh == {}
    data["history"] += ["next", "one"]
    again = cuts.cut(data)
    assert again.head == "00000000aa:1-2"
    assert again.fresh == {"00000000aa:2": b'"next"\xff"one"'}
    assert again.literal == b'{"turn":1,"history":[\xff],"left":{"in":"place"}}'


def test_a_long_value_is_a_chunk_and_a_short_list_stays_where_it_is() -> None:
    recipe = _Cuts().cut({"prompt": _LONG, "short": ["a", "b"], "numbers": [7] * 1_000})
    assert recipe.literal == b'{"prompt":\xff,"short":["a","b"],"numbers":\xff}'
    assert recipe.head == "00000000aa:1;00000000aa:2"


def test_the_beginning_of_a_number_is_not_the_number() -> None:
    cuts = _Cuts()
    cuts.cut({"n": [_LONG, 12]})
    assert len(cuts.cut({"n": [_LONG, 123]}).fresh) == 1


def test_a_change_in_the_middle_costs_a_chunk_or_two() -> None:
    cuts = _Cuts()
    history = [f"{number} {_LONG}" for number in range(24)]
    assert len(cuts.cut({"history": history}).fresh) == 12
    history[13] = "changed"
    assert len(cuts.cut({"history": history}).fresh) == 1
    del history[:4]
    assert cuts.cut({"history": history}).fresh == {}


def test_what_is_new_side_by_side_becomes_some_chunks_however_much_it_is() -> None:
    cuts = _Cuts()
    history = [f"{number} {_LONG}" for number in range(1_600)]
    assert 15 <= len(cuts.cut({"history": history}).chunks) <= 17
    history += [f"{number} {_LONG}" for number in range(1_600, 1_604)]
    assert len(cuts.cut({"history": history}).fresh) == 2


def test_a_window_that_moves_over_a_long_history_stores_little_of_it_again() -> None:
    cuts = _Cuts()
    history = [f"{number} {_LONG}" for number in range(1_000)]
    cuts.cut({"history": history[:800]})
    first = sum(map(len, cuts.stored.values()))
    for turn in range(1, 101):
        cuts.cut({"history": history[2 * turn : 800 + 2 * turn]})
    said = sum(map(len, history[800:]))
    assert sum(map(len, cuts.stored.values())) - first < 5 * said


def test_a_chunk_of_which_neither_text_nor_hash_is_at_hand_is_new() -> None:
    data = {"history": [_LONG, _LONG]}
    stream = Stream("00000000aa", itertools.count(1))
    [chunk] = cut(data, as_json(data), (), stream).chunks  # type: ignore[union-attr]
    again = cut(data, as_json(data), [chunk], stream)
    assert again is not None
    assert list(again.fresh) == ["00000000aa:2"]


@pytest.mark.parametrize(
    ("odd", "is_cut"),
    [("\ud83d", True), (10**4_000, True), (1e-7, False)],
    ids=["half a character", "digits", "float"],
)
def test_what_the_standard_library_writes_is_cut_where_its_parts_are_spelt_alike(
    odd: Any, is_cut: bool
) -> None:
    data = {"history": [[odd, _LONG], [odd], {"n": odd}, _LONG], "odd": 10**4_000}
    plain = as_json(data)
    recipe = cut(data, plain, (), Stream("00000000aa", itertools.count(1)))
    assert (recipe is not None) == is_cut
    assert recipe is None or joined(recipe.head, recipe.literal, recipe.fresh) == plain


def test_a_recipe_of_too_many_chunks_begins_anew() -> None:
    cuts = _Cuts()
    history: list[str] = []
    for turn in range(MOST_CHUNKS + 5):
        history.append(f"{turn} {'y' * 600 if not turn else ''}")
        assert len(cuts.cut({"history": history}).chunks) <= MOST_CHUNKS
    assert len(cuts.known) < 100


@pytest.mark.parametrize(
    "data", [{}, {"a": 1}, {"short": ["a"] * 9}, {str(n): n for n in range(LONGEST_RECIPE)}], ids=range(4)
)
def test_what_has_nothing_to_share_is_not_cut(data: dict[str, Any]) -> None:
    assert cut(data, as_json(data), [], Stream("00000000aa", itertools.count(1))) is None


@pytest.mark.parametrize(
    "head", ["", ";", "xyz", "00000000aa:0", "00000000aa:2-1", "00000000aa:1-1001", "a:1"]
)
def test_a_list_of_chunks_that_none_wrote_is_refused(head: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        names_of(head)


def test_places_and_lists_have_to_fit() -> None:
    with pytest.raises(ValueError, match="do not match its list"):
        joined("00000000aa:1", b"{}", {"00000000aa:1": b"1"})
