"""`agent-sessions` with a worker running, run as a user runs it."""

import secrets
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import redis

from agent_runtime.manager import SessionManager, Settings
from tests.support.cli import run_cli, run_on_terminal
from tests.support.jobs import refuse_a_batch
from tests.support.keyspace import snapshot
from tests.support.processes import CeleryProcess, celery_worker
from tests.support.redis_server import RedisServer
from tests.support.sessions import create_sessions, let_expire, save_turns


@pytest.fixture(scope="module")
def worker_settings(server: RedisServer) -> dict[str, Any]:
    # Set the key: the one in Redis is removed with each test's data, but the worker would keep its copy.
    return {"redis_url": server.url(), "namespace": f"cli-{secrets.token_hex(8)}", "receipt_key": "a key"}


@pytest.fixture(scope="module", autouse=True)
def worker(worker_settings: dict[str, Any]) -> Iterator[CeleryProcess]:
    with celery_worker(**worker_settings) as running:
        yield running


@pytest.fixture
def namespace(worker_settings: dict[str, Any]) -> str:
    return str(worker_settings["namespace"])


@pytest.fixture
def settings(worker_settings: dict[str, Any]) -> Settings:
    return Settings(**worker_settings)


@pytest.fixture
def cli(worker_settings: dict[str, Any]) -> Any:
    return partial(run_cli, **worker_settings)


@pytest.fixture
def terminal(worker_settings: dict[str, Any]) -> Any:
    return partial(run_on_terminal, **worker_settings)


async def test_deleting_a_user_leaves_a_job_and_a_receipt(manager: SessionManager, cli: Any) -> None:
    await create_sessions(manager, 30)
    await create_sessions(manager, 7, "bob")

    erased = cli(
        "delete-user", "ann", "--yes", "--wait", "--reason", "asked", "--requested-by", "desk", "--json"
    )

    job = erased.document()
    assert erased.status == 0, erased.err
    assert (job["state"], job["removed"], job["enqueued"], job["worker_answers"]) == ("done", 30, True, True)
    assert await manager.get_active_session_count() == 7
    shown = cli("jobs", "show", job["job_id"]).out
    assert all(word in shown for word in ("delete-user ann", "30 of 30", "asked", "desk", "number 1"))
    [receipt] = cli("receipts", "list", "--json").document()["receipts"]
    assert (receipt["job_id"], receipt["sessions"]) == (job["job_id"], 30)
    verified = cli("receipts", "verify", "--last-hash", receipt["hash"])
    assert (verified.status, f"Last hash: {receipt['hash']}" in verified.out) == (0, True)
    verified = cli("receipts", "verify", "--last-hash", "unknown", "--json")
    assert (verified.status, verified.document()["valid"]) == (1, False)


async def test_an_altered_receipt_fails_the_verification(
    manager: SessionManager, cli: Any, raw: redis.Redis, namespace: str
) -> None:
    await manager.delete_user_sessions("ann")
    raw.zadd(f"{namespace}:{{0}}:receipts", {"no receipt": 9})

    verified = cli("receipts", "verify")

    assert verified.status == 1
    assert "receipt 9 cannot be read" in verified.out
    listed = cli("receipts", "list")
    assert (listed.status, "left out of a listing: receipt 9" in listed.err) == (0, True)


async def test_an_agent_a_pruning_and_a_sweep(manager: SessionManager, cli: Any) -> None:
    first, *_ = await create_sessions(manager, 5)
    await save_turns(manager, first.session_id, 4)
    await let_expire(manager, *await create_sessions(manager, 3, "bob", "other"))

    pruned = cli("prune", "--agent", "bot", "--keep-last", "1", "--older-than", "7d", "--yes", "--wait")
    swept = cli("sweep", "--yes", "--wait", "--timeout", "20")
    erased = cli("delete-agent", "bot", "--yes", "--wait")

    assert [each.status for each in (pruned, swept, erased)] == [0, 0, 0]
    assert pruned.out.endswith(": 3 checkpoints removed.\n")
    assert swept.out.endswith(": 3 sessions swept.\n")
    assert erased.out.endswith(": 5 sessions deleted.\n")
    assert "delete-agent bot: done 5/5" in erased.err
    assert "\x1b" not in erased.out + erased.err  # no terminal, so nothing for one


async def test_a_dry_run_counts_and_changes_nothing(
    manager: SessionManager, cli: Any, raw: redis.Redis, namespace: str
) -> None:
    first, *_ = await create_sessions(manager, 3)
    await save_turns(manager, first.session_id, 2)
    before = snapshot(raw, namespace)

    preview = cli("delete-user", "ann", "--dry-run", "--json").document()
    shown = cli("prune", "--keep-last", "1", "--dry-run").out
    refused = cli("delete-agent", "bot", "--dry-run", "--max-affected", "2")

    assert (preview["sessions"], preview["checkpoints"], len(preview["sample"])) == (3, 2, 3)
    assert preview["bytes"] > 0
    assert first.session_id in shown
    assert "Nothing was changed." in shown
    assert (refused.status, "more than --max-affected 2" in refused.err) == (3, True)
    assert snapshot(raw, namespace) == before


async def test_within_its_grace_a_deletion_is_undone(manager: SessionManager, cli: Any) -> None:
    [session] = await create_sessions(manager, 1)
    asked = cli("delete-user", "ann", "--grace", "1h", "--yes")
    [job_id] = {word for word in asked.out.split() if word.startswith("job_")}
    assert "To undo it before then:" in asked.out
    assert await manager.get_session(session.session_id) is None

    undone = cli("jobs", "undo", job_id)

    assert (undone.status, undone.out) == (0, "Undone: 1 session restored.\n")
    assert await manager.get_session(session.session_id) == session
    watched = cli("jobs", "watch", job_id)
    assert (watched.status, "Undone" in watched.err) == (1, True)


async def test_a_job_is_paused_resumed_and_cancelled(manager: SessionManager, cli: Any) -> None:
    await create_sessions(manager, 4)
    job_id = await manager.revoke_user_sessions("ann")

    assert cli("jobs", "pause", job_id, "--json").document()["state"] == "paused"
    assert "Cancelled; before that: 0 sessions deleted." in cli("jobs", "cancel", job_id).out
    refused = cli("jobs", "pause", job_id, "--json")
    assert (refused.status, refused.document()["kind"]) == (3, "JobStateError")
    assert cli("jobs", "resume", job_id).status == 0
    assert "4 sessions deleted" in cli("jobs", "watch", job_id).out


async def test_a_failed_job_fails_the_watch_and_is_resumed(manager: SessionManager, cli: Any) -> None:
    await create_sessions(manager, 4)
    job = await manager.jobs.read(await manager.revoke_user_sessions("ann"))
    assert await refuse_a_batch(manager, job.job_id, "out of\x1b memory") == "failed"

    watched = cli("jobs", "watch", job.job_id)

    assert watched.status == 1
    assert "Failed: out of\\x1b memory" in watched.err
    assert f"agent-sessions jobs resume {job.job_id}" in watched.err
    assert cli("jobs", "list", "--state", "failed", "--json").document()["jobs"][0]["job_id"] == job.job_id
    assert cli("jobs", "resume", job.job_id, "--json").document()["worker_answers"]
    assert cli("jobs", "watch", job.job_id, "--json").document()["removed"] == 4


async def test_jobs_are_selected_and_listed_page_by_page(manager: SessionManager, cli: Any) -> None:
    ids = [await manager.revoke_user_sessions(user) for user in ("ann", "bob", "eve")]
    swept = await manager.cleanup_expired_sessions()
    assert swept == 0

    def listed(*arguments: str) -> list[str]:
        jobs = cli("jobs", "list", "--json", *arguments).document()["jobs"]
        return [job["target"] for job in jobs]

    assert sorted(listed("--kind", "delete-user", "--state", "done")) == ["ann", "bob", "eve"]
    assert listed("--target", "bob") == ["bob"]
    assert listed("--kind", "cleanup_expired_sessions") == [None]
    page = cli("jobs", "list", "--kind", "delete-user", "--limit", "2")
    assert len(page.out.splitlines()) == 3
    cursor = page.err.split()[-1]
    rest = cli("jobs", "list", "--kind", "delete-user", "--cursor", cursor).out
    assert {line.split()[0] for line in (page.out + rest).splitlines()} == {"job", *ids}


class TestConfirmation:
    @pytest.mark.parametrize(("types", "status"), [(b"n\n", 3), (b"\x04", 3), (b"\x03", 130)])
    async def test_no_or_an_interruption_changes_nothing(
        self, manager: SessionManager, terminal: Any, types: bytes, status: int
    ) -> None:
        await create_sessions(manager, 2)

        ended = terminal("delete-user", "ann", when="[y/N]", types=types)

        assert ended.status == status
        assert "delete-user ann would remove 2 sessions with 0 checkpoints" in ended.out
        assert await manager.get_active_session_count("ann") == 2

    async def test_yes_enqueues_the_job_and_shows_a_bar(self, manager: SessionManager, terminal: Any) -> None:
        await create_sessions(manager, 2)

        ended = terminal("delete-user", "ann", "--wait", when="[y/N]", types=b"y\n")

        assert ended.status == 0
        assert "delete-user ann: done" in ended.out
        assert "━" in ended.out
        assert ended.out.endswith(": 2 sessions deleted.\n")
        assert await manager.get_active_session_count("ann") == 0

    @pytest.mark.parametrize("arguments", [[], ["--json"]])
    async def test_without_anybody_to_confirm_it_is_refused(
        self, manager: SessionManager, cli: Any, arguments: list[str]
    ) -> None:
        await create_sessions(manager, 2)

        ended = cli("delete-user", "ann", *arguments)

        assert (ended.status, "pass --yes" in ended.err) == (3, True)
        assert await manager.get_active_session_count("ann") == 2


async def test_more_than_max_affected_is_refused(manager: SessionManager, cli: Any) -> None:
    await create_sessions(manager, 5)

    ended = cli("delete-user", "ann", "--yes", "--max-affected", "4", "--json")

    assert (ended.status, ended.document()["kind"]) == (3, "TooManyAffectedError")
    assert await manager.get_active_session_count("ann") == 5
