"""Every key string, pinned: other versions and other programs read the same data."""

import pytest
import redis

from agent_runtime.manager import SessionManager
from agent_runtime.manager.keys import Keys, Partitions
from agent_runtime.manager.new_ids import new_checkpoint_id, new_job_id, new_session_id
from tests.support.jobs import open_sweep
from tests.support.sessions import create_sessions, let_expire, save_turns

KEYS = Keys("shop", 7)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (KEYS.session("sess_1"), b"shop:{7}:s:sess_1"),
        (KEYS.checkpoints("sess_1"), b"shop:{7}:c:sess_1"),
        (KEYS.checkpoint_order("sess_1"), b"shop:{7}:o:sess_1"),
        (KEYS.user_index("ann"), b"shop:{7}:u:ann"),
        (KEYS.agent_index("bot"), b"shop:{7}:a:bot"),
        (KEYS.expiry_index, b"shop:{7}:x"),
        (KEYS.revocations("u"), b"shop:{7}:revocations:u"),
        (KEYS.revocations("a"), b"shop:{7}:revocations:a"),
        (KEYS.jobs, b"shop:{7}:jobs"),
        (KEYS.job("job_1"), b"shop:{7}:job:job_1"),
        (KEYS.open_job("sweep:{}"), b"shop:{7}:open:sweep:{}"),
        (KEYS.user_index("é"), b"shop:{7}:u:\xc3\xa9"),
    ],
)
def test_key_strings_never_change(key: bytes, text: bytes) -> None:
    assert key == text


# Shards decide where data lies: another hash would lose every session of a running store.
@pytest.mark.parametrize(
    ("user_id", "bucket"), [("ann", "j0s"), ("bob", "d63"), ("user_123", "n04"), ("漢字", "i1r")]
)
def test_the_shard_of_a_user_never_changes(user_id: str, bucket: str) -> None:
    assert new_session_id(user_id).removeprefix("sess_")[:3] == bucket


@pytest.mark.parametrize("count", [1, 2, 7, 4096])
def test_a_session_id_alone_finds_the_partition_of_its_user(count: int) -> None:
    partitions = Partitions("shop", count)
    for number in range(200):
        user_id = f"user_{number}"
        assert partitions.of_session(new_session_id(user_id)) is partitions.of_user(user_id)


def test_users_spread_evenly_over_partitions() -> None:
    partitions = Partitions("shop", 8)
    counts = [0] * 8
    for number in range(8000):
        counts[partitions.of_user(f"user_{number}").number] += 1
    assert min(counts) > 850
    assert max(counts) < 1150


@pytest.mark.parametrize("made_up", ["", "sess_", "sess_1", "🙂", "sess_ÄÖÜ", "nonsense"])
def test_made_up_session_ids_lead_to_some_partition(made_up: str) -> None:
    partitions = Partitions("shop", 5)
    assert partitions.of_session(made_up) in partitions.all


def test_ids_say_what_they_are() -> None:
    assert new_session_id("ann").startswith("sess_")
    assert new_checkpoint_id().startswith("ckpt_")
    assert new_job_id().startswith("job_")


async def test_every_key_that_is_written_is_of_a_listed_kind_and_in_one_slot(
    manager: SessionManager, raw: redis.Redis, namespace: str
) -> None:
    sessions = await create_sessions(manager, 3)
    await save_turns(manager, sessions[0].session_id, 1)
    await let_expire(manager, sessions[1])
    await open_sweep(manager, join=True)
    await manager.revoke_user_sessions("ann")
    await create_sessions(manager, 1)
    await manager.revoke_agent_sessions("bot")
    await create_sessions(manager, 1)
    await manager.delete_user_sessions("nobody")
    kinds = {tuple(key.split(b":")[1:3]) for key in raw.scan_iter(match=f"{namespace}:*")}
    known = (b"s", b"c", b"o", b"u", b"a", b"x", b"revoked", b"revocations", b"jobs", b"job", b"open")
    known += (b"history", b"layout", b"receipts", b"receipt_jobs", b"receipt_key")
    assert kinds == {(b"{0}", kind) for kind in known}
