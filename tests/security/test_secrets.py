"""A password is in no log, error, `repr`, page, answer, record or command line."""

import asyncio
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_runtime.manager import AgentSessionsError, SessionManager, Settings, StoreRefusedError
from agent_runtime.tasks import SessionJobs
from tests.support.cli import run_cli
from tests.support.flower import FlowerProcess
from tests.support.jobs import finished, receipts_of
from tests.support.processes import ROOT, CeleryProcess, environment
from tests.support.redis_server import RedisServer, free_port
from tests.support.sessions import create_sessions
from tests.support.wait_until import wait_until_blocking

#: The word that the tests look for.
WORD = "xylophonist"
_FLOWER_AUTH = f"ops:{WORD}-of-flower"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        with running.client() as client:
            client.execute_command("ACL", "SETUSER", "app", "on", f">{WORD}", "~*", "&*", "+@all")
        yield running


@pytest.fixture
def secrets(server: RedisServer, namespace: str) -> dict[str, object]:
    """Settings in which every secret has the word."""

    def url(database: int) -> str:
        return f"redis://app:{WORD}@127.0.0.1:{server.port}/{database}"

    return {
        "redis_url": url(0),
        "broker_url": url(1),
        "result_backend": url(2),
        "receipt_key": f"{WORD}-of-receipts",
        "flower_basic_auth": _FLOWER_AUTH,
        "namespace": namespace,
    }


def _broken(port: int) -> dict[str, str]:
    """Return addresses that do not work, by their fault."""
    return {
        "the password is wrong": f"redis://app:{WORD}-wrong@127.0.0.1:{port}/0",
        "nobody listens": f"redis://app:{WORD}@127.0.0.1:{free_port()}/0",
        "a slash in the password": f"redis://app:{WORD}/x@127.0.0.1:{port}/0",
        "a hash in the password": f"redis://app:{WORD}#x@127.0.0.1:{port}/0",
        "a bracket in the password": f"redis://app:[{WORD}@127.0.0.1:{port}/0",
        "no scheme": f"app:{WORD}@127.0.0.1:{port}/0",
        "an unknown scheme": f"reddis://app:{WORD}@127.0.0.1:{port}/0",
        "no database": f"redis://app:{WORD}@127.0.0.1:{port}/{WORD}",
        "the password of a key": f"rediss://app:{WORD}@127.0.0.1:{port}/0?ssl_keyfile=/none&ssl_password={WORD}",
    }


_CASES = list(_broken(0))


def _command_lines() -> dict[str, str]:
    found = {}
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[str(place)] = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # the process has ended
            continue
    return found


async def test_no_secret_is_seen_while_everything_runs(secrets: dict[str, object]) -> None:
    shown: dict[str, str] = {}
    with (
        CeleryProcess(
            "worker", "--concurrency", "1", "--loglevel", "DEBUG", ready="ready.", **secrets
        ) as worker,
        CeleryProcess("beat", "--loglevel", "DEBUG", **secrets) as beat,
        FlowerProcess("--debug", **secrets, flower_api=True) as flower,
    ):
        async with SessionManager.from_settings(Settings(**secrets)) as manager:  # type: ignore[arg-type]
            await create_sessions(manager, 2)
            job = await SessionJobs(manager).delete_user_sessions("ann", reason="asked")
            shown["job"] = repr(await finished(job))
            shown["receipts"] = repr(await receipts_of(manager))
            shown["reprs"] = _reprs(manager)
        asked = [
            asyncio.to_thread(_run, *command, **secrets)
            for command in (
                ("celery", "-A", "worker", "inspect", "conf"),
                ("celery", "-A", "worker", "inspect", "stats"),
                ("celery", "-A", "worker", "report"),
                ("agent-sessions", "jobs", "show", job.id, "--json"),
                ("agent-sessions", "receipts", "verify"),
            )
        ]
        shown |= {f"answer {number}": text for number, text in enumerate(await asyncio.gather(*asked))}
        shown |= await asyncio.to_thread(_pages_of, flower)
        shown |= _command_lines()
        shown |= {"worker": worker.log(), "beat": beat.log(), "flower": flower.log()}
    assert "broker_url" in shown["answer 0"], "or it could not show a secret"
    assert "broker_url" in shown["/worker"]
    assert {name: _around(text) for name, text in shown.items() if WORD in text} == {}


def _reprs(manager: SessionManager) -> str:
    from agent_runtime.tasks.celery_config import celery_config

    config = celery_config(manager.settings)
    values = (
        manager,
        manager.settings,
        str(manager.settings),
        config,
        manager._context.client._conn,
        vars(manager),
    )
    return "\n".join(map(repr, values))


def _run(*command: str, **settings: object) -> str:
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run(
        [program, *command[1:]],
        cwd=ROOT, env=environment(**settings), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def _pages_of(flower: FlowerProcess) -> dict[str, str]:
    paths = [
        "/",
        "/workers?refresh=1",
        "/tasks",
        "/broker",
        "/metrics",
        "/api/workers?refresh=1",
        "/api/tasks",
    ]
    pages = {path: flower.get(path, _FLOWER_AUTH).text for path in paths}
    name = re.search(r"celery@[\w.-]+", pages["/api/workers?refresh=1"])
    assert name
    pages["/worker"] = flower.get(f"/worker/{name.group()}", _FLOWER_AUTH).text
    return pages


def _around(text: str) -> str:
    place = text.index(WORD)
    return text[max(0, place - 200) : place + 50]


@pytest.mark.parametrize("case", _CASES)
async def test_no_error_shows_an_address_that_does_not_work(server: RedisServer, case: str) -> None:
    settings = Settings(redis_url=_broken(server.port)[case], connect_retries=0)
    try:
        async with SessionManager.from_settings(settings) as manager:
            SessionJobs(manager)
            await manager.get_session("sess_1")
    except AgentSessionsError as error:
        shown = "".join(traceback.format_exception(error)) + repr(error)
        shown += "".join(repr(each) for each in _chain(error))
    else:
        pytest.fail("it works")
    assert WORD not in shown, _around(shown)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("case", _CASES)
async def test_no_process_shows_an_address_that_does_not_work(server: RedisServer, case: str) -> None:
    broken = _broken(server.port)[case]
    runs = await asyncio.gather(
        asyncio.to_thread(run_cli, "jobs", "list", redis_url=broken),
        asyncio.to_thread(_ends, "worker", redis_url=broken),
        asyncio.to_thread(_ends, "beat", redis_url=server.url(), broker_url=broken),
    )
    shown = runs[0].out + runs[0].err + runs[1] + runs[2]
    assert WORD not in shown, _around(shown)


#: What a worker and Beat say before they wait and try again.
_WAITS = ("Cannot connect", "Trying again")


def _ends(command: str, **settings: object) -> str:
    """Return the output of a process until it ends. A process that waits for its broker is ended."""
    with CeleryProcess(command, "--loglevel", "INFO", **settings) as process:
        wait_until_blocking(
            lambda: not process.running or any(text in process.log() for text in _WAITS),
            description="the process to end, or to wait for its broker",
        )
        return process.log()


async def test_a_refused_password_is_not_in_the_error(server: RedisServer) -> None:
    settings = Settings(redis_url=_broken(server.port)["the password is wrong"])
    async with SessionManager.from_settings(settings) as manager:
        with pytest.raises(StoreRefusedError, match="refused the credentials") as caught:
            await manager.get_session("sess_1")
    assert WORD not in "".join(traceback.format_exception(caught.value))
