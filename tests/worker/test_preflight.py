"""Servers that are too old, played by a fake: no package of a server is older than 6.2."""

import socket
import threading
from collections.abc import Iterator

import pytest

from agent_runtime.manager import Settings, StoreRefusedError
from agent_runtime.worker.preflight import check_server
from tests.support.redis_server import RedisServer


@pytest.fixture
def old_server() -> Iterator[str]:
    """Answer INFO as Redis 5 does."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            while request := connection.recv(65_536):
                info = b"redis_version:5.0.14\r\nmaxmemory:0\r\n"
                bulk = b"$%d\r\n%s\r\n" % (len(info), info)
                commands = request.count(b"*")
                reply = bulk if b"INFO" in request else b"-ERR unknown command\r\n" * commands
                connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0?protocol=2"
        thread.join(5)


def test_a_server_that_is_too_old_is_named(old_server: str) -> None:
    with pytest.raises(StoreRefusedError, match=r"speaks Redis 5\.0\.14; 6\.2 or newer is needed"):
        check_server(Settings(redis_url=old_server))


def test_the_servers_that_tests_run_on_are_fit(server: RedisServer) -> None:
    check_server(Settings(redis_url=server.url()))


def test_a_policy_of_eviction_does_not_matter_without_a_limit_of_memory() -> None:
    with RedisServer(config=("--maxmemory-policy", "allkeys-lru")) as server:
        check_server(Settings(redis_url=server.url()))
