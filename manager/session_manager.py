"""The async face of the store: sessions, checkpoints, and bulk work on them."""

from typing import Self

import redis
import redis.asyncio as aredis

from agent_runtime.manager.methods.batches import BatchMethods
from agent_runtime.manager.methods.bulk import BulkMethods
from agent_runtime.manager.methods.checkpoints import CheckpointMethods
from agent_runtime.manager.methods.context import Context
from agent_runtime.manager.methods.integrity import IntegrityMethods
from agent_runtime.manager.methods.listings import ListingMethods
from agent_runtime.manager.methods.sessions import SessionMethods
from agent_runtime.manager.methods.user_keys import KeyMethods
from agent_runtime.manager.settings import Settings, load_settings
from agent_runtime.manager.transport.async_twin import client_from_url


class SessionManager(
    SessionMethods,
    CheckpointMethods,
    BatchMethods,
    ListingMethods,
    BulkMethods,
    KeyMethods,
    IntegrityMethods,
):
    """Keeps the sessions and checkpoints of LLM agents in Redis.

    Reading or writing one session is one round trip; calls made at once leave together. One manager
    serves any number of event loops and threads.

    Each public method stands for itself and calls no other, so a subclass that overrides one changes that one
    only. A subclass may use any name for its own attributes but `_context`.

    Args:
        conn: a `redis.Redis` or `redis.asyncio.Redis`. Its settings are used, never its connections.
        ttl: life of a session from its creation or last refresh, seconds.
        max_sessions: most sessions that may exist at once, over all users.
        settings: everything else; by default from the environment (`AGENT_SESSIONS_…`).

    Attributes:
        ttl, max_sessions, settings: as given. To change one later has no effect.
        jobs: the bulk jobs of this namespace, and the receipts of its deletions.

    Raises:
        InvalidArgumentError: an argument is not acceptable (a `ValueError`).
        SettingsError: a variable in the environment is not acceptable (a `ValueError`).

    Example:
        >>> manager = SessionManager(redis.Redis(), ttl=3600)
        >>> session = await manager.create_session("user_123", "chatbot")
        >>> checkpoint_id = await manager.save_checkpoint(session.session_id, {"turn": 1})
    """

    def __init__(
        self,
        conn: redis.Redis | aredis.Redis,
        ttl: float = 3600,
        max_sessions: int = 10_000,
        *,
        settings: Settings | None = None,
    ) -> None:
        self._context = Context.open(conn, ttl, max_sessions, settings or load_settings())
        self.ttl = ttl
        self.max_sessions = max_sessions
        self.settings = self._context.settings
        self.jobs = self._context.jobs

    @classmethod
    def from_settings(cls, settings: Settings | None = None) -> Self:
        """Make a manager on the server, with the time to live and the limit that the settings name.

        Raises:
            SettingsError: the address of the server is none (a `ValueError`).

        Example:
            >>> manager = SessionManager.from_settings()
        """
        settings = settings or load_settings()
        conn = client_from_url(
            "AGENT_SESSIONS_REDIS_URL", settings.redis_url, settings.connect_timeout_seconds
        )
        return cls(conn, settings.ttl, settings.max_sessions, settings=settings)

    async def aclose(self) -> None:
        """Close the connections of the running event loop; `conn` itself stays as it is.

        Under `asyncio.run` this call is not needed: the connections are closed when the loop ends. A later
        call of the manager opens new ones.

        Example:
            >>> await manager.aclose()
        """
        await self._context.client.aclose()
        await self._context.key_provider.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
