"""The examples in the docstrings of all public names, run on a prepared store with a worker behind it."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from agent_runtime import manager as manager_package
from agent_runtime import tasks as tasks_package
from agent_runtime.manager import CachedSessionManager, SessionManager, integrity, load_settings
from agent_runtime.manager import jobs as jobs_package
from agent_runtime.tasks import SessionJobs
from tests.support.docstrings import docstrings_of, has_example, run_examples
from tests.support.encryption import key_ring
from tests.support.processes import CeleryProcess
from tests.support.redis_server import RedisServer
from tests.support.sessions import let_expire
from tests.support.wait_until import wait_until

#: Every public name, with the value behind it.
PUBLIC: dict[str, Any] = {
    name: getattr(package, name)
    for package in (manager_package, jobs_package, integrity, tasks_package)
    for name in package.__all__
    if package is not tasks_package or name in ("Job", "SessionJobs")
}

#: Classes whose methods are called by workers, not by callers.
_OF_WORKERS = {
    name
    for name, value in PUBLIC.items()
    if value in (jobs_package.Record, jobs_package.Slice)
    or jobs_package.JobSpec in getattr(value, "__mro__", ())
}

DOCSTRINGS = {
    name: text
    for name, text in docstrings_of(PUBLIC)
    if not ("." in name and name.partition(".")[0] in _OF_WORKERS)
}

#: Names that lack an example: the list may only become shorter. A new public name has an example.
WITHOUT_EXAMPLE = {"CachedSessionManager.aclose", "SessionManager.aclose"}

#: Methods of a job that wait for its end: the job has no grace, and the worker ends it.
_WAITING = {"Job.wait", "Job.watch"}

#: Examples about sessions that are gone.
_GONE = {"SessionManager.session_exists": "sess_abc123", "SessionManager.delete_sessions": "sess_def456"}


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, server: RedisServer, worker_settings: dict[str, object]
) -> Iterator[None]:
    """The settings that the examples read from the environment."""
    for name in ("redis_url", "namespace"):
        monkeypatch.setenv(f"AGENT_SESSIONS_{name.upper()}", str(worker_settings[name]))
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


class Store:
    """The store of the examples: three sessions of `user_123` with `chatbot`, and twelve expired sessions.

    Args:
        manager: a manager of the store.
    """

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager
        #: Ids of the sessions, by the ids that stand for them in the examples.
        self.ids: dict[str, str] = {}

    async def prepare(self) -> None:
        """Create the sessions with their checkpoints."""
        for name in ("sess_abc123", "sess_def456", "sess_ghi789"):
            session = await self._manager.create_session("user_123", "chatbot", {"tier": "premium"})
            self.ids[name] = session.session_id
        await self._save("sess_abc123", "ckpt_xyz789", 1, pin=True)
        await self._save("sess_abc123", "ckpt_uvw456", 2)
        await self._save("sess_abc123", None, 3)
        for turn in range(45):
            await self._save("sess_ghi789", None, turn)
        expired = [await self._manager.create_session(f"user_{number}", "other") for number in range(12)]
        await let_expire(self._manager, *expired)

    async def _save(self, name: str, checkpoint_id: str | None, turn: int, *, pin: bool = False) -> None:
        await self._manager.save_checkpoint(
            self.ids[name], {"turn": turn}, checkpoint_id=checkpoint_id, pin=pin
        )


@pytest.fixture
def name() -> str:
    """The public name whose docstring is run."""
    return "SessionManager"


@pytest.fixture
async def manager(
    name: str, open_manager: Callable[..., SessionManager], server: RedisServer
) -> SessionManager:
    """The manager of the examples: one that caches for a caching one's methods, one with keys for users."""
    if name == "SessionManager.erase_user_key":
        return open_manager(encryption_keys=key_ring("k1"), user_keys_url=server.url(db=5))
    return open_manager(CachedSessionManager if name.startswith("CachedSessionManager.") else SessionManager)


@pytest.fixture
async def names(
    manager: SessionManager, server: RedisServer, environment: None
) -> AsyncIterator[dict[str, Any]]:
    """The global names of the examples. A `redis.Redis()` in them is a client of the test's server."""

    def client(**arguments: Any) -> redis.Redis:
        return redis.Redis(**{"host": "127.0.0.1", "port": server.port, **arguments})

    own = {"manager": manager, "jobs": SessionJobs(manager), "redis": SimpleNamespace(Redis=client)}
    names = {**PUBLIC, **own, "timedelta": timedelta}
    yield names
    for value in names.values():
        if isinstance(value, SessionManager):
            await value.aclose()


@pytest.mark.parametrize("name", sorted(name for name, text in DOCSTRINGS.items() if has_example(text)))
async def test_the_examples_hold(
    name: str, manager: SessionManager, names: dict[str, Any], worker: CeleryProcess
) -> None:
    store = Store(manager)
    await store.prepare()
    if name in _GONE:
        await manager.delete_session(store.ids[_GONE[name]])
    if name.startswith("Job."):
        grace = None if name in _WAITING else 3600
        names["job"] = await names["jobs"].delete_user_sessions("user_123", grace=grace)
    if isinstance(manager, CachedSessionManager):
        await manager.get_session(store.ids["sess_abc123"])
        await wait_until(manager.is_tracking_active, description="the server to announce changes")
    assert await run_examples(DOCSTRINGS[name], names, store.ids) == []


def test_every_public_name_has_an_example() -> None:
    assert {name for name, text in DOCSTRINGS.items() if not has_example(text)} <= WITHOUT_EXAMPLE


@pytest.mark.parametrize(
    "docstring",
    [
        ">>> 1 + 1\n3",
        ">>> await manager.session_exists('sess_abc123')\nFalse",
        ">>> print('one')\ntwo",
        ">>> 1 / 0",
        ">>> 1 + 1\nTraceback (most recent call last):\nbuiltins.ZeroDivisionError: division by zero",
        ">>> 1 / 0\nTraceback (most recent call last):\nbuiltins.ZeroDivisionError: another message",
        ">>> await manager.no_such_method()",
    ],
)
async def test_an_example_that_does_not_hold_is_found(
    docstring: str, manager: SessionManager, names: dict[str, Any]
) -> None:
    store = Store(manager)
    await store.prepare()
    assert len(await run_examples(docstring, names, store.ids)) == 1


def test_a_method_without_an_example_is_found() -> None:
    class Base:
        """A class.

        Example:
            >>> Base()
        """

        def old(self) -> None:
            """Do it.

            Example:
                >>> Base().old()
            """

    class Derived(Base):
        """Another class."""

        def old(self) -> None:
            """Do it differently."""

        def new(self) -> None:
            """Do more."""

    for cls in (Base, Derived):
        cls.__module__ = "agent_runtime.made_up"
    found = dict(docstrings_of({"Base": Base, "Derived": Derived}))
    assert {name: has_example(text) for name, text in found.items()} == {
        "Base": True,
        "Base.old": True,
        "Derived": False,
        "Derived.new": False,
        "Derived.old": True,
    }
