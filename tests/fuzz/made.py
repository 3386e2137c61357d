"""Strategies that several tests share."""

from typing import Any

from hypothesis import strategies as st

from tests.fuzz import corpus

#: Any text, including halves of emojis and NUL.
texts = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from(
    corpus.TEXTS + corpus.HALVES
)

#: Any text that has UTF-8.
sound_texts = st.text(max_size=30) | st.sampled_from(corpus.TEXTS)

#: Text of the characters that packed members, keys and patterns consist of.
_confusable = st.text("0123456789 ab:{}*?[]%\\\n\x00-", min_size=1, max_size=12)

#: Any valid id.
ids = st.one_of(st.sampled_from(corpus.IDS), _confusable, st.text(min_size=1, max_size=40))

integers = st.integers() | st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**300, -(10**300)])
floats = st.floats(allow_nan=False, allow_infinity=False)

json_scalars = st.none() | st.booleans() | integers | floats | texts

json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)

json_objects = st.dictionaries(sound_texts, json_values, max_size=5)

#: Values that JSON cannot hold, somewhere inside values that it can.
not_json = st.recursive(
    st.sampled_from(corpus.NOT_JSON),
    lambda inner: (
        st.builds(lambda value, beside: [beside, value], inner, json_scalars)
        | st.builds(lambda key, value, beside: {"": beside, key: value}, texts, inner, json_scalars)
    ),
    max_leaves=1,
)
spoilt_objects = st.builds(
    lambda before, key, value: {**before, key: value},
    st.dictionaries(sound_texts, json_scalars, max_size=3),
    sound_texts,
    not_json,
)

#: Any value that a caller might pass, right or wrong.
anything = st.one_of(
    json_values,
    st.sampled_from(corpus.NOT_JSON),
    st.sampled_from(corpus.NUMBERS),
    st.sampled_from(corpus.BAD_IDS),
    st.sampled_from(corpus.MOMENTS),
)


def same(left: Any, right: Any) -> bool:
    """Return True if both are equal and of the same types all through, with the same signs of zero."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return repr(left) == repr(right) if isinstance(left, float) else bool(left == right)
