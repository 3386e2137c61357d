"""A ring of keys encrypts everything that is stored, and its keys can be rotated."""

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from agent_runtime.manager import (
    CachedSessionManager,
    CorruptDataError,
    InvalidArgumentError,
    SessionManager,
    Settings,
    SettingsError,
)
from agent_runtime.manager.errors import DecryptionError
from tests.manager.test_metadata import EXACT
from tests.support.encryption import key_ring, stored_values
from tests.support.keyspace import snapshot

Opener = Callable[..., SessionManager]

_ROOT = Path(__file__).parents[2]
_SECRET_WORD = "Rumpelstiltskin"


async def _fill(manager: SessionManager) -> str:
    """Create a session with metadata through each call, and checkpoints large and small."""
    session = await manager.create_session("ann", "bot", {"created": _SECRET_WORD})
    await manager.update_session(session.session_id, metadata={"replaced": _SECRET_WORD})
    await manager.update_session_metadata(session.session_id, {"merged": {"deep": [_SECRET_WORD]}})
    await manager.save_checkpoint(session.session_id, {"turn": 0, "said": _SECRET_WORD})
    await manager.save_checkpoint(session.session_id, {"turn": 1, "said": _SECRET_WORD * 1000})
    return session.session_id


async def _check_filled(manager: SessionManager, session_id: str) -> None:
    """Read the session in every way."""
    found = await manager.get_session(session_id)
    assert found is not None
    assert found.metadata == {"replaced": _SECRET_WORD, "merged": {"deep": [_SECRET_WORD]}}
    assert await manager.get_sessions_by_user("ann") == [found]
    assert await manager.get_sessions_by_agent("bot") == [found]
    listed = await manager.list_checkpoints(session_id)
    assert [each["data"]["said"] for each in listed] == [_SECRET_WORD, _SECRET_WORD * 1000]
    assert await manager.get_latest_checkpoint(session_id) == listed[1]
    assert await manager.get_checkpoint(session_id, listed[0]["checkpoint_id"]) == listed[0]


@pytest.mark.parametrize("cls", [SessionManager, CachedSessionManager])
async def test_everything_comes_back_and_nothing_lies_in_the_clear(
    open_manager: Opener, raw: redis.Redis, namespace: str, cls: type[SessionManager]
) -> None:
    manager = open_manager(cls, encryption_keys=key_ring("k1"))
    session_id = await _fill(manager)
    await _check_filled(manager, session_id)
    await _check_filled(open_manager(encryption_keys=key_ring("k1")), session_id)
    values = stored_values(raw, namespace)
    assert len(values) == 5  # the large checkpoint is two values
    for value in values.values():
        assert value.startswith(b"e\x02k1")
    assert _SECRET_WORD not in repr(snapshot(raw, namespace))


async def test_every_value_comes_back_exactly(open_manager: Opener) -> None:
    manager = open_manager(encryption_keys=key_ring("k1"))
    session = await manager.create_session("ann", "bot", EXACT)
    assert repr(session.metadata) == repr(EXACT)
    found = await manager.get_session(session.session_id)
    assert found is not None
    assert [repr(found.metadata[key]) for key in EXACT] == [repr(value) for value in EXACT.values()]
    checkpoint_id = await manager.save_checkpoint(session.session_id, EXACT)
    checkpoint = await manager.get_checkpoint(session.session_id, checkpoint_id)
    assert checkpoint is not None
    assert repr(checkpoint["data"]) == repr(EXACT)


async def test_a_created_session_is_answered_as_it_is_when_it_is_created_again(open_manager: Opener) -> None:
    manager = open_manager(encryption_keys=key_ring("k1"))
    session = await manager.create_session("ann", "bot", {"a": 1})
    again = await manager.create_session("ann", "bot", {"a": 2}, session_id=session.session_id)
    assert again == session


async def test_values_from_before_the_keys_are_read_and_replaced_sealed(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    session_id = await _fill(open_manager())
    manager = open_manager(encryption_keys=key_ring("k1"))
    await _check_filled(manager, session_id)
    await manager.update_session_metadata(session_id, {"merged": {"deep": [_SECRET_WORD]}})
    await _check_filled(manager, session_id)
    assert sorted(value[:1] for value in stored_values(raw, namespace).values()) == [
        b"e",
        b"j",
        b"j",
        b"j",
        b"z",
    ]


async def test_values_in_the_clear_are_refused_where_encryption_is_required(open_manager: Opener) -> None:
    plain = open_manager()
    session = await plain.create_session("ann", "bot", {"planted": 1})
    await plain.save_checkpoint(session.session_id, {"planted": 1})
    strict = open_manager(encryption_keys=key_ring("k1"), encryption_required=True)
    with pytest.raises(DecryptionError, match=f"'planted' at .*s:{session.session_id}.* not encrypted"):
        await strict.get_session(session.session_id)
    with pytest.raises(DecryptionError, match=f"c:{session.session_id}.* not encrypted"):
        await strict.get_latest_checkpoint(session.session_id)
    await plain.delete_session(session.session_id)
    await _check_filled(strict, await _fill(strict))


async def test_a_ring_is_turned_without_a_moment_in_which_something_cannot_be_read(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    old = open_manager(encryption_keys=key_ring("k1"))
    before = await _fill(old)
    # First every process learns the new key, then the new key becomes active, then the old one goes.
    both = open_manager(encryption_keys=key_ring("k1", "k2"))
    turned = open_manager(encryption_keys=key_ring("k1", "k2"), encryption_key_id="k2")
    after = await _fill(turned)
    for manager in (both, turned):
        for session_id in (before, after):
            found = await manager.get_session(session_id)
            assert found is not None
            assert found.metadata["replaced"] == _SECRET_WORD
    assert {value[:4] for value in stored_values(raw, namespace).values()} == {b"e\x02k1", b"e\x02k2"}
    await turned.delete_session(before)
    await _check_filled(open_manager(encryption_keys=key_ring("k2")), after)


async def test_the_first_key_seals_unless_another_is_named(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    for name, expected in ((None, b"e\x02k2"), ("k1", b"e\x02k1")):
        manager = open_manager(encryption_keys=key_ring("k2", "k1"), encryption_key_id=name)
        session = await manager.create_session("ann", "bot", {"a": 1})
        assert [value[:4] for value in stored_values(raw, namespace).values()] == [expected]
        await manager.delete_session(session.session_id)


async def test_encryption_is_switched_off_again_and_what_is_sealed_still_read(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    session_id = await _fill(open_manager(encryption_keys=key_ring("k1")))
    manager = open_manager(encryption_keys=key_ring("k1"), encryption_key_id="none")
    await _check_filled(manager, session_id)
    await manager.create_session("bob", "bot", {"a": 1})
    assert b"j1" in stored_values(raw, namespace).values()


async def test_what_does_not_open_is_named_with_its_key_id_and_its_place(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    session_id = await _fill(open_manager(encryption_keys=key_ring("k1")))
    unknown = "under the key 'k1', which is not in AGENT_SESSIONS_ENCRYPTION_KEYS"
    for arguments, reason in [
        ({"encryption_keys": key_ring("k2")}, unknown),
        ({}, "it is encrypted, and AGENT_SESSIONS_ENCRYPTION_KEYS is not set"),
        ({"encryption_keys": key_ring("k2").replace("k2", "k1")}, "altered, or moved"),
    ]:
        raw.delete(f"{namespace}:{{0}}:layout")  # it would refuse another key of the same id
        manager = open_manager(**arguments)
        with pytest.raises(DecryptionError, match=rf"b'.*' at .*:s:{session_id}.*{reason}") as caught:
            await manager.get_session(session_id)
        assert isinstance(caught.value, CorruptDataError)
        with pytest.raises(DecryptionError, match=rf"'ckpt_.*' at .*:c:{session_id}.*{reason}") as caught:
            await manager.get_latest_checkpoint(session_id)
        assert _SECRET_WORD not in str(caught.value)


async def test_a_value_moved_to_another_place_does_not_open(
    open_manager: Opener, raw: redis.Redis, namespace: str
) -> None:
    manager = open_manager(encryption_keys=key_ring("k1"))
    session_id, other_id = await _fill(manager), await _fill(manager)
    prefix = f"{namespace}:{{0}}:"
    first, second = [each["checkpoint_id"] for each in await manager.list_checkpoints(session_id)]
    mine, its = f"{prefix}c:{session_id}", f"{prefix}c:{other_id}"
    sound = raw.hget(mine, second)
    for moved in (raw.hget(mine, first), raw.hvals(its)[0], raw.hget(f"{prefix}s:{session_id}", "m:merged")):
        raw.hset(mine, second, moved)
        with pytest.raises(DecryptionError, match="altered, or moved"):
            await manager.get_latest_checkpoint(session_id)
    raw.hset(mine, second, sound)
    assert await manager.get_latest_checkpoint(session_id)
    for key, field in ((f"{prefix}s:{session_id}", "m:replaced"), (f"{prefix}s:{other_id}", "m:merged")):
        raw.hset(f"{prefix}s:{session_id}", "m:merged", raw.hget(key, field))
        with pytest.raises(DecryptionError, match="altered, or moved"):
            await manager.get_session(session_id)


# {"k": "x" * n} takes 1 byte for the key and n + 3 for its value, and 4 + 12 + 16 for the envelope.
async def test_the_limit_of_metadata_counts_what_is_stored(open_manager: Opener) -> None:
    manager = open_manager(encryption_keys=key_ring("k1"), max_metadata_bytes=100)
    session = await manager.create_session("ann", "bot", {"k": "x" * 64})
    assert await manager.update_session(session.session_id, metadata={"k": "y" * 64})
    for change in (manager.update_session, manager.update_session_metadata):
        with pytest.raises(InvalidArgumentError, match=r"101 bytes as stored.*max_metadata_bytes"):
            await change(session.session_id, metadata={"k": "x" * 65})
    with pytest.raises(InvalidArgumentError, match="max_metadata_bytes"):
        await manager.update_session_metadata(session.session_id, {"l": 1})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"encryption_keys": "no json"}, "ENCRYPTION_KEYS must be a JSON object"),
        ({"encryption_keys": "{}"}, "ENCRYPTION_KEYS must be a JSON object"),
        ({"encryption_keys": '["k1"]'}, "ENCRYPTION_KEYS must be a JSON object"),
        ({"encryption_keys": '{"k1": "c2hvcnQ="}'}, "the key 'k1' must be 32 bytes in base64"),
        ({"encryption_keys": '{"k1": "ThisIsNoBase64!"}'}, "the key 'k1' must be 32 bytes in base64"),
        ({"encryption_keys": '{"k1": 7}'}, "the key 'k1' must be 32 bytes in base64"),
        ({"encryption_keys": key_ring("k 1")}, "each key id must be 1 to 32 letters"),
        ({"encryption_keys": key_ring("k" * 33)}, "each key id must be"),
        ({"encryption_keys": key_ring("none")}, "not be 'none'"),
        ({"encryption_keys": key_ring("k1")[:-1] + "," + key_ring("k1")[1:]}, "must occur once"),
        ({"encryption_keys": key_ring("k1"), "encryption_key_id": "k2"}, "ENCRYPTION_KEY_ID names no key"),
        ({"encryption_key_id": "k2"}, "ENCRYPTION_KEY_ID needs AGENT_SESSIONS_ENCRYPTION_KEYS"),
        ({"encryption_required": True}, "ENCRYPTION_REQUIRED needs AGENT_SESSIONS_ENCRYPTION_KEYS"),
        ({"user_keys_url": "redis://h"}, "USER_KEYS_URL needs AGENT_SESSIONS_ENCRYPTION_KEYS"),
        (
            {"encryption_keys": key_ring("k1"), "encryption_key_id": "none", "encryption_required": True},
            "ENCRYPTION_REQUIRED needs a key",
        ),
        ({"encryption_keys": key_ring("k1"), "user_keys_url": "http://:pw@h"}, "USER_KEYS_URL must be like"),
    ],
)
def test_wrong_settings_are_named_and_show_no_key(settings: dict[str, Any], problem: str) -> None:
    made = Settings(**settings)
    with pytest.raises(SettingsError, match=problem) as caught:
        SessionManager.from_settings(made)
    shown = f"{caught.value!r} {caught.value.__cause__!r} {made!r}"
    for secret in ("c2hvcnQ=", "ThisIsNoBase64!", ":pw@", key_ring("k1")[8:40]):
        assert secret not in shown


def test_a_key_in_the_place_of_its_id_is_not_shown() -> None:
    secret = base64.b64encode(bytes(range(32))).decode()
    with pytest.raises(SettingsError) as caught:
        SessionManager.from_settings(Settings(encryption_keys=f'{{"{secret}": "k1"}}'))
    assert secret not in str(caught.value)


def _run_without_cryptography(code: str) -> subprocess.CompletedProcess[str]:
    # None in `sys.modules` makes Python say that there is no such module.
    command = [sys.executable, "-c", f"import sys; sys.modules['cryptography'] = None\n{code}"]
    environment = os.environ | {"PYTHONPATH": f"{_ROOT}:{_ROOT / 'src'}"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_keys_without_the_package_are_a_clear_error() -> None:
    run = _run_without_cryptography(
        "from manager import SessionManager, Settings\n"
        f"SessionManager.from_settings(Settings(encryption_keys='{key_ring('k1')}'))"
    )
    assert "SettingsError: AGENT_SESSIONS_ENCRYPTION_KEYS needs a package that is not installed" in run.stderr
    assert "pip install 'agent-sessions[encryption]'" in run.stderr


def test_without_keys_the_package_is_not_needed() -> None:
    run = _run_without_cryptography(
        "import manager, tasks, worker.cli.program\nmanager.SessionManager.from_settings(manager.Settings())"
    )
    assert run.returncode == 0, run.stderr
