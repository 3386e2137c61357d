"""The embedded server."""

import os
from pathlib import Path

import pytest
import redis

from agent_runtime.manager import SettingsError
from agent_runtime.worker.embedded_server import embedded_server


def test_its_data_is_there_again_after_a_restart(tmp_path: Path) -> None:
    with embedded_server(tmp_path) as url, redis.Redis.from_url(url) as client:
        client.set("kept", "yes", ex=60)
    with embedded_server(tmp_path) as url, redis.Redis.from_url(url) as client:
        assert client.get("kept") == b"yes"


def test_two_servers_never_share_a_folder(tmp_path: Path) -> None:
    second = embedded_server(tmp_path)

    with embedded_server(tmp_path), pytest.raises(SettingsError, match="another server already uses"):
        second.__enter__()


def test_its_allocator_is_tuned_and_the_caller_s_environment_is_not(tmp_path: Path) -> None:
    before = dict(os.environ)
    with embedded_server(tmp_path) as url, redis.Redis.from_url(url) as client:
        environment = Path(f"/proc/{client.info('server')['process_id']}/environ").read_bytes()
        assert b"GLIBC_TUNABLES=glibc.malloc.tcache_count" in environment
    assert dict(os.environ) == before
