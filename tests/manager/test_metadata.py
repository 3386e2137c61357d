"""Metadata: merged key by key, replaced as a whole, and back exactly as it went in."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import pytest
import redis

from agent_runtime.manager import InvalidArgumentError, SessionManager
from tests.support.keyspace import snapshot

EXACT: dict[str, Any] = {
    "big integer": 2**200 + 1,
    "beyond a double": 9_007_199_254_740_993,
    "negative": -1,
    "float": 0.1 + 0.2,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "minus zero": -0.0,
    "whole float": 1.0,
    "none": None,
    "true": True,
    "empty text": "",
    "empty list": [],
    "empty object": {},
    "unicode": "naïve 漢字 🙂 \u2028",
    "control": "\x00\x01\n\r\t\x7f",
    "half an emoji": "\ud83d",
    "two halves side by side": "\ud83d\ude42",
    "keys that differ only so": {"\ud83d\ude42": 1, "🙂": 2},
    "nested": {"": [None, {"a": [[], {}, [1, 2.5, "x"]]}], "k\x00": {"\ud83d": 1}},
    "looks like json": '{"a": 1}',
}


async def _metadata(manager: SessionManager, session_id: str) -> dict[str, Any]:
    session = await manager.get_session(session_id)
    assert session is not None
    return session.metadata


def _same(left: Any, right: Any) -> bool:
    """Equal, of the same types, with the same signs of zero."""
    return repr(left) == repr(right)


async def test_every_value_comes_back_exactly_from_every_way_in(manager: SessionManager) -> None:
    created = await manager.create_session("ann", "bot", EXACT)
    assert _same(created.metadata, EXACT)
    merged, replaced = [await manager.create_session("ann", "bot") for _ in range(2)]
    await manager.update_session_metadata(merged.session_id, EXACT)
    await manager.update_session(replaced.session_id, metadata=EXACT)
    for session in (created, merged, replaced):
        found = await _metadata(manager, session.session_id)
        for key, value in EXACT.items():
            assert _same(found[key], value), key
        assert found.keys() == EXACT.keys()


@pytest.mark.parametrize("key", ["", " ", "user", "m:user", "expires", "*", "{}", "a\x00b", "🙂", "k" * 5000])
async def test_keys_may_be_any_text(manager: SessionManager, key: str) -> None:
    session = await manager.create_session("ann", "bot", {key: 1})
    await manager.update_session_metadata(session.session_id, {key: [2]})
    found = await manager.get_session(session.session_id)
    assert found == session.model_copy(update={"metadata": {key: [2]}})


async def test_the_callers_own_dictionary_is_neither_kept_nor_changed(manager: SessionManager) -> None:
    given = {"list": [1]}
    session = await manager.create_session("ann", "bot", given)
    given["list"].append(2)
    assert session.metadata == {"list": [1]}
    session.metadata["list"].append(3)
    assert given == {"list": [1, 2]}


async def test_concurrent_merges_lose_nothing(open_manager: Callable[..., SessionManager]) -> None:
    managers = [open_manager() for _ in range(4)]
    session = await managers[0].create_session("ann", "bot", {"first": 0})
    await asyncio.gather(
        *(managers[i % 4].update_session_metadata(session.session_id, {f"k{i}": i}) for i in range(200))
    )
    assert await _metadata(managers[0], session.session_id) == {"first": 0} | {f"k{i}": i for i in range(200)}


async def test_a_merge_replaces_top_level_keys_whole(manager: SessionManager) -> None:
    session = await manager.create_session("ann", "bot", {"a": {"x": 1, "y": 2}, "b": 1})
    assert await manager.update_session_metadata(session.session_id, {"a": {"x": 3}}) is True
    assert await _metadata(manager, session.session_id) == {"a": {"x": 3}, "b": 1}


async def test_an_empty_merge_changes_nothing_and_an_empty_replacement_clears(
    manager: SessionManager,
) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1})
    assert await manager.update_session_metadata(session.session_id, {}) is True
    assert await _metadata(manager, session.session_id) == {"a": 1}
    assert await manager.update_session(session.session_id, metadata={}) is True
    assert await _metadata(manager, session.session_id) == {}


@pytest.mark.parametrize("count", [4_800])
async def test_thousands_of_keys_are_created_merged_and_replaced(manager: SessionManager, count: int) -> None:
    many = {f"key{i}": i for i in range(count)}
    session = await manager.create_session("ann", "bot", many)
    assert session.metadata == many
    changed = {f"key{i}": -i for i in range(0, count, 2)}
    assert await manager.update_session_metadata(session.session_id, changed)
    assert await _metadata(manager, session.session_id) == many | changed
    other = {f"other{i}": i for i in range(count)}
    assert await manager.update_session(session.session_id, metadata=other)
    assert await _metadata(manager, session.session_id) == other
    assert [each.metadata for each in await manager.get_sessions_by_user("ann")] == [other]


# The size of {"k": "x" * n} is 1 for the key, 1 for the format byte and n + 2 for the value in its quotes.


async def test_metadata_may_be_just_as_large_as_the_limit(
    open_manager: Callable[..., SessionManager],
) -> None:
    manager = open_manager(max_metadata_bytes=100)
    session = await manager.create_session("ann", "bot", {"k": "x" * 96})
    assert await manager.update_session(session.session_id, metadata={"k": "y" * 96})
    for make in (
        lambda: manager.create_session("ann", "bot", {"k": "x" * 97}),
        lambda: manager.update_session(session.session_id, metadata={"k": "x" * 97}),
        lambda: manager.update_session_metadata(session.session_id, {"k": "x" * 97}),
        lambda: manager.create_session("ann", "bot", {"é": "x" * 96}),
    ):
        with pytest.raises(InvalidArgumentError, match=r"metadata .*100.*max_metadata_bytes"):
            await make()
    assert await _metadata(manager, session.session_id) == {"k": "y" * 96}


async def test_the_limit_holds_for_what_merges_add_up_to(open_manager: Callable[..., SessionManager]) -> None:
    manager = open_manager(max_metadata_bytes=100)
    session = await manager.create_session("ann", "bot", {"a": "x" * 40})  # 44 bytes
    assert await manager.update_session_metadata(session.session_id, {"b": "x" * 52})  # 56 more: full
    with pytest.raises(InvalidArgumentError, match=r"metadata .*100.*max_metadata_bytes"):
        await manager.update_session_metadata(session.session_id, {"c": 1})
    assert await manager.update_session_metadata(session.session_id, {"b": "x", "c": 1})  # shrinks b
    assert await manager.update_session(session.session_id, metadata={"a": "x" * 96})
    with pytest.raises(InvalidArgumentError, match="max_metadata_bytes"):
        await manager.update_session_metadata(session.session_id, {"c": 1})
    assert await _metadata(manager, session.session_id) == {"a": "x" * 96}


async def test_the_size_kept_beside_the_metadata_stays_right(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    session = await manager.create_session("ann", "bot", {"a": 1, "b": "é"})
    key = f"{namespace}:{{0}}:s:{session.session_id}"

    def size() -> int:
        fields = raw.hgetall(key).items()
        return sum(len(name) - 2 + len(value) for name, value in fields if name.startswith(b"m:"))

    for change in ({"a": 12345}, {"c": None}, {"a": 0, "b": "", "d": []}, {}):
        await manager.update_session_metadata(session.session_id, change)
        assert int(raw.hget(key, "size")) == size()
    await manager.update_session(session.session_id, metadata={"z": math.pi})
    assert int(raw.hget(key, "size")) == size()
    assert size() == len("z") + len("j") + len(repr(math.pi))
    assert snapshot(raw, namespace)
