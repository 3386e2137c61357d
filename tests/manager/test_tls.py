"""TLS: the twin of a client uses the certificates of the client."""

from collections.abc import Callable
from pathlib import Path

import pytest
import redis
import redis.asyncio as aredis

from agent_runtime.manager import SessionManager, StoreUnavailableError
from agent_runtime.manager.transport.async_twin import PoolChannel, open_channel
from tests.manager.test_connection_kinds import live_once
from tests.support.clients import close
from tests.support.leftovers import find_leftovers
from tests.support.tls import Certificates, make_certificates, tls_server

Opener = Callable[..., SessionManager]

CLIENTS = pytest.mark.parametrize("cls", [redis.Redis, aredis.Redis])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


def _arguments(certificates: Certificates) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "ssl": True,
        "ssl_ca_certs": certificates.authority,
        "ssl_certfile": certificates.certificate,
        "ssl_keyfile": certificates.key,
    }


@CLIENTS
async def test_the_twin_has_the_certificates_of_the_client(certificates: Certificates, cls: type) -> None:
    conn = cls(**_arguments(certificates), port=1)
    channel = open_channel(conn)
    assert isinstance(channel, PoolChannel)
    twin = channel._pool.make_connection()
    assert isinstance(twin, aredis.SSLConnection)
    context = twin.ssl_context
    assert (context.ca_certs, context.certfile) == (certificates.authority, certificates.certificate)
    assert context.keyfile == certificates.key
    assert context.check_hostname
    await close(conn)


@CLIENTS
async def test_sessions_live_over_tls_and_a_stranger_is_refused(
    open_manager: Opener, certificates: Certificates, cls: type, tmp_path: Path, namespace: str
) -> None:
    with tls_server(certificates) as (server, port):
        conn = cls(**_arguments(certificates), port=port)
        manager = open_manager(conn=conn)
        await live_once(manager)
        stranger = cls(**_arguments(make_certificates(tmp_path / "stranger")), port=port)
        suspicious = open_manager(conn=stranger, connect_retries=0)
        with pytest.raises(StoreUnavailableError, match=r"(?i)certificate"):
            await suspicious.session_exists("sess_1")
        with server.client() as client:
            assert find_leftovers(client, namespace) == []
        for each in (manager, suspicious):
            await each.aclose()
        for each in (conn, stranger):
            await close(each)
