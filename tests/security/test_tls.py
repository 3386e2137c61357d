"""TLS and mutual TLS: every process uses it, and an untrusted side is refused with an error that says why."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from agent_runtime.manager import SessionManager, Settings, StoreUnavailableError
from agent_runtime.manager.jobs import JobState
from agent_runtime.tasks import SessionJobs
from tests.support.cli import run_cli
from tests.support.flower import FlowerProcess
from tests.support.jobs import finished
from tests.support.processes import CeleryProcess, celery_worker, run_program
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions
from tests.support.tls import Certificates, make_certificates, tls_server

_YESTERDAY = datetime.now(UTC) - timedelta(days=1)


class TlsServer(NamedTuple):
    """A server that wants TLS, a client's certificate and a password."""

    server: RedisServer
    port: int

    def url(self, query: str = "", scheme: str = "rediss") -> str:
        return f"{scheme}://:password@127.0.0.1:{self.port}/0{query and '?' + query}"

    @contextmanager
    def asked_meanwhile(self) -> Iterator[dict[str, int]]:
        """Yield a dict that holds, after the block, the calls of each command within it, apart from our
        own."""
        asked: dict[str, int] = {}
        with self.server.client(password="password") as client:
            client.config_resetstat()
            yield asked
            calls = {
                name.removeprefix("cmdstat_"): found["calls"]
                for name, found in client.info("commandstats").items()
            }
            asked.update(
                (name, count) for name, count in calls.items() if name not in ("config|resetstat", "info")
            )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ours(folder: Path, authority: trustme.CA) -> Certificates:
    """The certificate of the clients, and of a valid server."""
    return make_certificates(folder / "ours", authority=authority)


@pytest.fixture(scope="module")
def strange(folder: Path) -> Certificates:
    return make_certificates(folder / "strange")


@pytest.fixture(scope="module")
def tls(ours: Certificates) -> Iterator[TlsServer]:
    with tls_server(ours, "--requirepass", "password") as running:
        yield TlsServer(*running)


@pytest.fixture
def over_tls(tls: TlsServer, ours: Certificates, namespace: str) -> dict[str, object]:
    """Settings of a valid client."""
    return {"redis_url": tls.url(ours.query()), "namespace": namespace}


async def test_a_job_goes_from_its_caller_to_its_end_over_mutual_tls(
    over_tls: dict[str, object], tls: TlsServer
) -> None:
    beat_settings = {**over_tls, "sweep_interval_seconds": 0.2}
    with (
        celery_worker(**over_tls) as worker,
        CeleryProcess("beat", "--loglevel", "INFO", **beat_settings),
        FlowerProcess(**over_tls) as flower,
    ):
        async with SessionManager.from_settings(Settings(**over_tls)) as manager:  # type: ignore[arg-type]
            await create_sessions(manager, 3)
            job = await SessionJobs(manager).delete_user_sessions("ann")
            assert (await finished(job)).removed == 3
        assert f"tasks.run_job[{job.id}] received" in worker.log()
        listed, counted, swept, broker_page = await asyncio.gather(
            asyncio.to_thread(run_cli, "jobs", "show", job.id, "--json", **over_tls),
            asyncio.to_thread(run_program, _DELETE_FROM_A_PROGRAM, **over_tls),
            asyncio.to_thread(worker.wait_for, "Task tasks.cleanup_expired_sessions"),
            asyncio.to_thread(flower.get, "/broker"),
        )
        assert listed.document()["state"] == JobState.DONE
        assert counted == 0
        assert swept
        assert "maintenance" in broker_page.text, "Flower reads the lengths of the queues over TLS too"


_DELETE_FROM_A_PROGRAM = """
import tasks
print(tasks.delete_user_sessions.delay("bob").get(timeout=600))
"""


class _Refused(NamedTuple):
    """A client's certificates, and the error that it gets."""

    ca: str
    own: str | None
    says: str


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            _Refused("strange", "ours", "certificate verify failed"), id="a server of another authority"
        ),
        pytest.param(_Refused("ours", None, "TLS: .*misses"), id="a client without a certificate"),
        pytest.param(
            _Refused("ours", "strange", "TLS: .*does not trust"), id="a client of another authority"
        ),
        pytest.param(
            _Refused("ours", "missing", "No such file or directory"), id="a client whose file is missing"
        ),
    ],
)
async def test_who_is_not_trusted_gets_nowhere(
    tls: TlsServer, ours: Certificates, strange: Certificates, case: _Refused
) -> None:
    known = {"ours": ours, "strange": strange, "missing": Certificates("", "/missing.pem", "/missing.key")}
    query = f"ssl_ca_certs={known[case.ca].authority}"
    if case.own:
        query += f"&ssl_certfile={known[case.own].certificate}&ssl_keyfile={known[case.own].key}"
    await _is_refused(tls, tls.url(query), case.says)


@pytest.mark.parametrize(
    ("hosts", "not_after", "says"),
    [
        pytest.param(("127.0.0.1",), _YESTERDAY, "certificate has expired", id="expired"),
        pytest.param(("db.example",), None, "certificate is not valid for '127.0.0.1'", id="of another host"),
    ],
)
async def test_a_server_whose_certificate_is_no_good_gets_nothing(
    folder: Path,
    authority: trustme.CA,
    ours: Certificates,
    hosts: tuple[str, ...],
    not_after: datetime | None,
    says: str,
) -> None:
    bad = make_certificates(
        folder / "bad",
        *hosts,
        authority=authority,
        not_before=not_after and _YESTERDAY - timedelta(days=1),
        not_after=not_after,
    )
    with tls_server(bad, "--requirepass", "password") as running:
        server = TlsServer(*running)
        await _is_refused(server, server.url(ours.query()), says)


async def test_a_client_without_tls_gets_nowhere(tls: TlsServer) -> None:
    async with SessionManager.from_settings(Settings(redis_url=tls.url(scheme="redis"))) as manager:
        with pytest.raises(StoreUnavailableError, match="no connection to the server"):
            await manager.create_session("ann", "bot")


@pytest.mark.parametrize("at_fault", ["server", "broker"])
async def test_no_process_starts_where_the_server_or_the_broker_is_not_trusted(
    tls: TlsServer, ours: Certificates, strange: Certificates, server: RedisServer, at_fault: str
) -> None:
    mixed = Certificates(strange.authority, ours.certificate, ours.key)
    settings = {"redis_url": server.url(), "broker_url": server.url(1), "result_backend": server.url(2)}
    settings["redis_url" if at_fault == "server" else "broker_url"] = tls.url(mixed.query())
    with tls.asked_meanwhile() as asked, ExitStack() as running:
        processes = [running.enter_context(CeleryProcess(name, **settings)) for name in ("worker", "beat")]
        if at_fault == "server":
            listed = await asyncio.to_thread(run_cli, "jobs", "list", **settings)
            assert listed.status == 1
            assert "certificate verify failed" in listed.err
            assert "password" not in listed.err
        for process in processes:
            assert await asyncio.to_thread(process.wait) == 1
            assert "agent-sessions cannot start: no connection to the server at rediss://" in process.log()
            assert "certificate verify failed" in process.log()
            assert "password" not in process.log()
    assert asked == {}


async def _is_refused(server: TlsServer, url: str, says: str) -> None:
    """Assert that the manager is refused and nothing reaches the server, not even the password."""
    async with SessionManager.from_settings(Settings(redis_url=url, connect_retries=0)) as manager:
        with server.asked_meanwhile() as asked, pytest.raises(StoreUnavailableError, match=says):
            await manager.create_session("ann", "bot")
    assert asked == {}
