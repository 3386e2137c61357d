"""The chain of receipts shows whatever is done to it, and is kept for its time."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.jobs import Receipt
from tests.support.jobs import receipts_of
from tests.support.sessions import create_sessions

Opener = Callable[..., SessionManager]

_DAY = 86_400


async def _delete(manager: SessionManager, user_id: str = "ann") -> Receipt:
    """The receipt of a deletion of one session."""
    await create_sessions(manager, 1, user_id)
    receipt = (await manager.jobs.run(await manager.revoke_user_sessions(user_id))).receipt
    assert receipt is not None
    return receipt


def _replace(raw: redis.Redis, key: bytes, number: int, text: bytes) -> None:
    raw.zremrangebyscore(key, number, number)
    raw.zadd(key, {text: number})


def _alter(raw: redis.Redis, key: bytes, receipts: list[bytes]) -> None:
    _replace(raw, key, 2, json.dumps(json.loads(receipts[1]) | {"sessions": 7}).encode())


def _spoil(raw: redis.Redis, key: bytes, receipts: list[bytes]) -> None:
    _replace(raw, key, 2, b"{}")


def _spoil_the_last(raw: redis.Redis, key: bytes, receipts: list[bytes]) -> None:
    _replace(raw, key, 4, b"{}")


def _remove(raw: redis.Redis, key: bytes, receipts: list[bytes]) -> None:
    raw.zremrangebyscore(key, 2, 3)


def _close_the_gap(raw: redis.Redis, key: bytes, receipts: list[bytes]) -> None:
    raw.zrem(key, receipts[1])
    raw.zadd(key, {receipts[2]: 2, receipts[3]: 3})


def _swap(raw: redis.Redis, key: bytes, receipts: list[bytes]) -> None:
    raw.zadd(key, {receipts[1]: 3, receipts[2]: 2})


def _insert(raw: redis.Redis, key: bytes, receipts: list[bytes]) -> None:
    last = json.loads(receipts[3])
    raw.zadd(key, {json.dumps(last | {"number": 5, "previous": last["hash"]}).encode(): 5})


def _insert_another_of_one_number(raw: redis.Redis, key: bytes, receipts: list[bytes]) -> None:
    raw.zadd(key, {b"z" + receipts[1]: 2})


WRONG_HASH = "was altered, or was made with another key"


@pytest.mark.parametrize(
    ("tamper", "problems"),
    [
        (_alter, [f"receipt 2 {WRONG_HASH}"]),
        (_spoil, ["receipt 2 cannot be read"]),
        (_remove, ["receipts 2 to 3 are missing"]),
        (
            _close_the_gap,
            [
                "receipt 3 stands in the place of receipt 2",
                "receipt 2 does not follow receipt 1",
                "receipt 4 stands in the place of receipt 3",
            ],
        ),
        (
            _swap,
            [
                "receipt 3 stands in the place of receipt 2",
                "receipt 2 does not follow receipt 1",
                "receipt 2 stands in the place of receipt 3",
                "receipt 3 does not follow receipt 2",
                "receipt 4 does not follow receipt 3",
            ],
        ),
        (_insert, [f"receipt 5 {WRONG_HASH}"]),
        (_insert_another_of_one_number, ["receipt 2 cannot be read", "receipt 2 is there twice"]),
    ],
)
async def test_whatever_is_done_to_the_chain_shows(
    manager: SessionManager,
    raw: redis.Redis,
    tamper: Callable[[redis.Redis, bytes, list[bytes]], None],
    problems: list[str],
) -> None:
    for number in range(4):
        await _delete(manager, f"user_{number}")
    assert (await manager.jobs.receipts.verify()).problems == []
    key = manager._context.partitions.home.receipts
    tamper(raw, key, raw.zrange(key, 0, -1))
    assert sorted((await manager.jobs.receipts.verify()).problems) == sorted(problems)


async def test_another_key_fits_no_receipt(open_manager: Opener) -> None:
    manager = open_manager(receipt_key="mine")
    await _delete(manager)
    await _delete(manager)
    assert (await open_manager(receipt_key="mine").jobs.receipts.verify()).problems == []
    for other in (open_manager(receipt_key="another"), open_manager()):
        assert (await other.jobs.receipts.verify()).problems == [
            f"receipt 1 {WRONG_HASH}",
            f"receipt 2 {WRONG_HASH}",
        ]


async def test_a_key_that_is_set_is_not_in_redis(open_manager: Opener, raw: redis.Redis) -> None:
    manager = open_manager(receipt_key="not to be seen")
    await _delete(manager)
    keys = manager._context.partitions.home
    assert not raw.exists(keys.receipt_key)
    assert b"not to be seen" not in b"".join(raw.zrange(keys.receipts, 0, -1))


async def test_the_key_of_the_namespace_lives_as_long_as_its_receipts(
    open_manager: Opener, raw: redis.Redis
) -> None:
    """Even if one manager has known it for longer than receipts are kept."""
    manager = open_manager(receipt_retention_seconds=_DAY)
    await _delete(manager)
    keys = manager._context.partitions.home
    raw.expire(keys.receipt_key, 60)
    await _delete(manager)
    assert raw.ttl(keys.receipt_key) > _DAY - 60
    assert (await open_manager().jobs.receipts.verify()).problems == []


async def test_a_chain_longer_than_a_page_is_read_to_its_end(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_runtime.manager.jobs.receipts._PAGE", 2)
    for number in range(5):
        await _delete(manager, f"user_{number}")
    assert [receipt.number for receipt in await receipts_of(manager)] == [1, 2, 3, 4, 5]
    found = await manager.jobs.receipts.verify()
    assert (found.receipts, found.last, found.problems) == (5, 5, [])


async def test_receipts_are_forgotten_after_their_time_and_the_rest_stays_one_chain(
    open_manager: Opener, raw: redis.Redis
) -> None:
    manager = open_manager(receipt_retention_seconds=_DAY)
    for number in range(4):
        await _delete(manager, f"user_{number}")
    key = manager._context.partitions.home.receipts
    old = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    for number, text in enumerate(raw.zrange(key, 0, 1), 1):
        _replace(raw, key, number, json.dumps(json.loads(text) | {"finished_at": old}).encode())
    await _delete(manager, "last")
    found = await manager.jobs.receipts.verify()
    assert (found.receipts, found.first, found.last, found.problems) == (3, 3, 5, [])
    assert raw.zcard(manager._context.partitions.home.receipt_jobs) == 3


async def test_the_clock_of_the_caller_forgets_no_receipt(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    class WrongClock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "WrongClock":
            return cls(2999, 1, 1, tzinfo=UTC)

    await _delete(manager)
    monkeypatch.setattr("agent_runtime.manager.jobs.receipts.datetime", WrongClock, raising=False)
    await _delete(manager)
    assert [receipt.number for receipt in await receipts_of(manager)] == [1, 2]


@pytest.mark.parametrize("tamper", [_close_the_gap, _spoil_the_last])
async def test_a_chain_that_was_tampered_with_goes_on(
    manager: SessionManager,
    raw: redis.Redis,
    tamper: Callable[[redis.Redis, bytes, list[bytes]], None],
) -> None:
    """A deletion must end all the same; that something is wrong stays to be seen."""
    for number in range(4):
        await _delete(manager, f"user_{number}")
    key = manager._context.partitions.home.receipts
    tamper(raw, key, raw.zrange(key, 0, -1))
    places = raw.zcard(key)
    assert (await _delete(manager)).number == places + 1
    found = await manager.jobs.receipts.verify()
    assert found.last == places + 1
    assert found.problems


async def test_reading_a_chain_that_was_spoilt_leaves_out_and_tells_the_place(
    manager: SessionManager, raw: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await _delete(manager, "ann")
    await _delete(manager, "bob")
    _replace(raw, manager._context.partitions.home.receipts, 1, b"no receipt")

    assert [receipt.number for receipt in await receipts_of(manager)] == [2]
    [told] = caplog.messages
    assert re.search("receipt 1 at .*receipts.* cannot be read", told)


async def test_a_receipt_that_is_gone_from_the_chain_does_not_keep_its_job_open(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    await create_sessions(manager, 2)
    job_id = await manager.revoke_user_sessions("ann")
    raw.zadd(f"{namespace}:{{0}}:receipt_jobs", {job_id: 7})
    raw.expire(f"{namespace}:{{0}}:receipt_jobs", 60)
    done = await manager.jobs.run(job_id)
    assert (done.state, done.removed, done.receipt) == ("done", 2, None)
