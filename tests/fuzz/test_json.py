"""Metadata and checkpoints: accepted values come back exactly; others are refused before anything is
written."""

from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import strategies as st

from agent_runtime.manager import InvalidArgumentError, SessionManager
from tests.fuzz import corpus, made
from tests.fuzz.inputs import fuzz
from tests.fuzz.made import same
from tests.support.keyspace import snapshot

_LARGE = 1_000_000

#: Depth up to which everything is accepted.
_DEEP_ENOUGH = 200


@pytest.fixture
def roomy(open_manager: Callable[..., SessionManager]) -> SessionManager:
    """A manager that takes large metadata, and compresses values longer than a few words."""
    return open_manager(max_metadata_bytes=_LARGE, compress_above_bytes=60)


@fuzz(
    500,
    corpus=[{"first": first, "second": {"k": 1}} for first in corpus.OBJECTS],
    first=made.json_objects,
    second=made.json_objects,
)
async def test_metadata_comes_back_exactly_from_every_way_in(
    roomy: SessionManager, first: dict[str, Any], second: dict[str, Any]
) -> None:
    created = await roomy.create_session("ann", "bot", first)
    assert _same_metadata(created.metadata, first)
    assert _same_metadata(await _metadata(roomy, created.session_id), first)
    assert await roomy.update_session_metadata(created.session_id, second)
    assert _same_metadata(await _metadata(roomy, created.session_id), first | second)
    assert await roomy.update_session(created.session_id, metadata=first)
    [listed] = await roomy.get_sessions_by_user("ann")
    assert _same_metadata(listed.metadata, first)
    assert await roomy.delete_session(created.session_id)


@fuzz(500, corpus=[{"data": data} for data in corpus.OBJECTS], data=made.json_objects)
async def test_a_checkpoint_comes_back_exactly(roomy: SessionManager, data: dict[str, Any]) -> None:
    session_id = (await roomy.create_session("ann", "bot")).session_id
    checkpoint_id = await roomy.save_checkpoint(session_id, data)
    one = await roomy.get_checkpoint(session_id, checkpoint_id)
    assert one is not None
    assert same(one["data"], data)
    assert one == await roomy.get_latest_checkpoint(session_id)
    assert [one] == await roomy.list_checkpoints(session_id)
    assert await roomy.delete_session(session_id)


@fuzz(
    900,
    corpus=[
        *({"bad": {"k": value}} for value in corpus.NOT_JSON),
        *({"bad": {"k": [1, {"deeper": value}]}} for value in corpus.NOT_JSON),
        *({"bad": value} for value in corpus.NO_OBJECTS),
    ],
    bad=made.spoilt_objects,
)
async def test_what_json_cannot_hold_is_refused_before_anything_is_written(
    roomy: SessionManager, raw: redis.Redis, namespace: str, bad: Any
) -> None:
    await _refused(roomy, raw, namespace, bad)


@pytest.mark.parametrize("value", corpus.HUGE, ids=range(len(corpus.HUGE)))
async def test_a_number_of_too_many_digits_is_refused(
    roomy: SessionManager, raw: redis.Redis, namespace: str, value: int
) -> None:
    await _refused(roomy, raw, namespace, {"k": value})
    await _refused(roomy, raw, namespace, {"k": [{"k": value}]})


async def _refused(roomy: SessionManager, raw: redis.Redis, namespace: str, bad: Any) -> None:
    session_id = (await roomy.create_session("ann", "bot", {"kept": 1})).session_id
    before = snapshot(raw, namespace)
    attempts = [
        ("metadata", roomy.update_session(session_id, metadata=bad)),
        ("metadata", roomy.update_session_metadata(session_id, bad)),
        ("data", roomy.save_checkpoint(session_id, bad)),
    ]
    if bad is not None:
        attempts.append(("metadata", roomy.create_session("ann", "bot", bad)))
    for name, attempt in attempts:
        with pytest.raises(InvalidArgumentError, match=f"^{name} "):
            await attempt
    assert snapshot(raw, namespace) == before
    await roomy.delete_session(session_id)


@fuzz(
    150,
    corpus=[
        {"shape": shape * depth} for shape in ("[", "{", "[{") for depth in (100, 127, 254, 255, 256, 2_000)
    ],
    shape=st.text("[{", max_size=400),
)
async def test_what_is_nested_comes_back_exactly_or_is_refused(
    roomy: SessionManager, raw: redis.Redis, namespace: str, shape: str
) -> None:
    value: Any = 1
    for bracket in shape:
        value = [value] if bracket == "[" else {"k": value}
    session_id = (await roomy.create_session("ann", "bot", {"kept": 1})).session_id
    before = snapshot(raw, namespace)
    try:
        await roomy.update_session(session_id, metadata={"k": value})
        checkpoint_id = await roomy.save_checkpoint(session_id, {"k": value})
    except InvalidArgumentError:
        assert len(shape) > _DEEP_ENOUGH
        assert snapshot(raw, namespace) == before
    else:
        assert _same_metadata(await _metadata(roomy, session_id), {"k": value})
        checkpoint = await roomy.get_checkpoint(session_id, checkpoint_id)
        assert checkpoint is not None
        assert same(checkpoint["data"], {"k": value})
    await roomy.delete_session(session_id)


@fuzz(
    150,
    corpus=[{"key": half, "value": 1} for half in corpus.HALVES],
    key=made.texts,
    value=made.json_scalars,
)
async def test_a_metadata_key_is_any_text_that_has_utf_8(
    roomy: SessionManager, raw: redis.Redis, namespace: str, key: str, value: Any
) -> None:
    before = snapshot(raw, namespace)
    if _has_utf_8(key):
        session = await roomy.create_session("ann", "bot", {key: value})
        assert _same_metadata(await _metadata(roomy, session.session_id), {key: value})
        await roomy.delete_session(session.session_id)
    else:
        with pytest.raises(InvalidArgumentError, match=r"^metadata key .* must be valid Unicode"):
            await roomy.create_session("ann", "bot", {key: value})
    assert snapshot(raw, namespace) == before


@pytest.mark.parametrize(("given", "expected"), corpus.DERIVED)
async def test_what_is_derived_from_a_json_type_comes_back_as_that_type(
    roomy: SessionManager, given: Any, expected: Any
) -> None:
    session = await roomy.create_session("ann", "bot", {"k": given})
    checkpoint_id = await roomy.save_checkpoint(session.session_id, {"k": [given]})
    assert same(await _metadata(roomy, session.session_id), {"k": expected})
    checkpoint = await roomy.get_checkpoint(session.session_id, checkpoint_id)
    assert checkpoint is not None
    assert same(checkpoint["data"], {"k": [expected]})


@pytest.mark.parametrize("value", corpus.OBJECTS, ids=range(len(corpus.OBJECTS)))
async def test_an_object_over_the_limit_is_refused_and_one_within_it_accepted(
    open_manager: Callable[..., SessionManager], raw: redis.Redis, namespace: str, value: dict[str, Any]
) -> None:
    small = open_manager(max_metadata_bytes=8, max_checkpoint_bytes=8)
    session_id = (await small.create_session("ann", "bot")).session_id
    before = snapshot(raw, namespace)
    if len(repr(value)) > 60:
        with pytest.raises(InvalidArgumentError, match=r"^metadata .*8 \(max_metadata_bytes\)"):
            await small.update_session(session_id, metadata=value)
        with pytest.raises(InvalidArgumentError, match=r"^data .*8 \(max_checkpoint_bytes\)"):
            await small.save_checkpoint(session_id, value)
        assert snapshot(raw, namespace) == before


async def _metadata(manager: SessionManager, session_id: str) -> dict[str, Any]:
    session = await manager.get_session(session_id)
    assert session is not None
    return session.metadata


def _same_metadata(found: dict[str, Any], given: dict[str, Any]) -> bool:
    """Return True if both are the same, in whatever order Redis keeps a large hash."""
    return found.keys() == given.keys() and all(same(found[key], given[key]) for key in given)


def _has_utf_8(text: str) -> bool:
    try:
        return bool(text.encode()) or not text
    except UnicodeEncodeError:
        return False
