"""What the methods of `SessionManager` stand on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import redis
import redis.asyncio as aredis

from agent_runtime.manager.chunks.chunk_index import ChunkIndex
from agent_runtime.manager.encryption import open_key_provider
from agent_runtime.manager.errors import InvalidArgumentError
from agent_runtime.manager.jobs.jobs import Jobs
from agent_runtime.manager.keys import Partitions
from agent_runtime.manager.settings import Settings, load_settings
from agent_runtime.manager.transport.async_twin import client_from_url
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_count, check_id, check_positive


class ManagerBase:
    """Connection, limits and clean-up."""

    def __init__(
        self,
        conn: redis.Redis | aredis.Redis,
        ttl: float = 3600,
        max_sessions: int = 10_000,
        *,
        settings: Settings | None = None,
    ) -> None:
        settings = settings or load_settings()
        check_count("max_sessions", max_sessions, 1)
        if max_sessions < settings.partitions:
            raise InvalidArgumentError(
                f"max_sessions must be at least the number of partitions ({settings.partitions}),"
                f" not {max_sessions}"
            )
        self.ttl = check_positive("ttl", ttl)
        self.max_sessions = max_sessions
        self.settings = settings
        self._ttl_ms = max(1, round(ttl * 1000))
        self._partitions = Partitions(settings.namespace, settings.partitions)
        self._client = ScriptClient(
            conn,
            timeout_seconds=settings.call_timeout_seconds,
            connect_retries=settings.connect_retries,
        )
        self._key_provider, self._chunk_index = open_key_provider(settings, self._client), ChunkIndex()
        #: The bulk jobs of this namespace, and the proofs of its deletions.
        self.jobs = Jobs(self._client, self._partitions, settings, self._revoking)

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """A manager on the server, with the time to live and the limit that the settings name.

        Raises:
            SettingsError: the address of the server is none.

        Example:
            >>> manager = SessionManager.from_settings()
        """
        settings = settings or load_settings()
        conn = client_from_url(
            "AGENT_SESSIONS_REDIS_URL", settings.redis_url, settings.connect_timeout_seconds
        )
        return cls(conn, settings.ttl, settings.max_sessions, settings=settings)

    async def aclose(self) -> None:
        """Closes the connections of the running event loop; `conn` itself stays as it is.

        Not needed under `asyncio.run`, which closes them when it ends. A later call opens new ones.
        """
        await self._client.aclose()
        await self._key_provider.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _check_id(self, name: str, value: object) -> str:
        return check_id(name, value, self.settings.max_id_bytes)

    @contextmanager
    def _changing(self, *session_ids: str) -> Iterator[None]:
        """Around every change of sessions, which may or may not come about."""
        for session_id in session_ids:
            self._session_changed(session_id)
        try:
            yield
        finally:
            for session_id in session_ids:
                self._session_changed(session_id)

    @contextmanager
    def _revoking(self, *, user_id: str | None = None, agent_id: str | None = None) -> Iterator[None]:
        """Around every revocation of all sessions of a user or an agent."""
        self._sessions_revoked(user_id, agent_id)
        try:
            yield
        finally:
            self._sessions_revoked(user_id, agent_id)

    def _session_changed(self, session_id: str) -> None:
        """For subclasses that keep copies."""

    def _sessions_revoked(self, user_id: str | None, agent_id: str | None) -> None:
        """For subclasses that keep copies."""
