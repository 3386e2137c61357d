"""State shared by the facets of `SessionManager`."""

from dataclasses import dataclass
from typing import Self

import redis
import redis.asyncio as aredis

from agent_runtime.manager.encryption import open_key_provider
from agent_runtime.manager.encryption.providers import KeyProvider
from agent_runtime.manager.errors import InvalidArgumentError
from agent_runtime.manager.jobs.jobs import Jobs
from agent_runtime.manager.keys import Partitions
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.stores.checkpoint_store import CheckpointStore
from agent_runtime.manager.stores.ids import Ids
from agent_runtime.manager.stores.layout import Layout
from agent_runtime.manager.stores.local_copies import LocalCopies
from agent_runtime.manager.stores.session_store import SessionReader, SessionStore
from agent_runtime.manager.transport.script_client import ScriptClient
from agent_runtime.manager.validation import check_count, check_positive


@dataclass(frozen=True, slots=True)
class Context:
    """One manager's connection, keys, limits and stores."""

    settings: Settings
    client: ScriptClient
    partitions: Partitions
    ids: Ids
    key_provider: KeyProvider
    #: Entered around everything that changes or removes sessions.
    copies: LocalCopies
    sessions: SessionStore
    checkpoints: CheckpointStore
    jobs: Jobs
    #: Life of a session from its creation or last refresh, milliseconds.
    ttl_ms: int
    #: Reads sessions by their ids, for all facets: the one place in which a cache stands.
    reader: SessionReader

    @classmethod
    def open(
        cls, conn: redis.Redis | aredis.Redis, ttl: float, max_sessions: int, settings: Settings
    ) -> Self:
        """Build the context of a manager. Arguments and errors are those of `SessionManager`."""
        check_count("max_sessions", max_sessions, 1)
        if max_sessions < settings.partitions:
            raise InvalidArgumentError(
                f"max_sessions must be at least the number of partitions ({settings.partitions}),"
                f" not {max_sessions}"
            )
        ttl_ms = max(1, round(check_positive("ttl", ttl) * 1000))
        client = ScriptClient(
            conn,
            timeout_seconds=settings.call_timeout_seconds,
            connect_retries=settings.connect_retries,
        )
        partitions = Partitions(settings.namespace, settings.partitions)
        ids = Ids(partitions, settings.max_id_bytes)
        key_provider = open_key_provider(settings, client)
        client.before_first_call(Layout(settings, partitions, key_provider).agree)
        copies = LocalCopies()
        shared = client, ids, key_provider, copies, settings
        sessions = SessionStore(*shared, ttl_ms=ttl_ms, max_sessions=max_sessions)
        return cls(
            settings=settings,
            client=client,
            partitions=partitions,
            ids=ids,
            key_provider=key_provider,
            copies=copies,
            sessions=sessions,
            checkpoints=CheckpointStore(*shared),
            jobs=Jobs(client, partitions, settings, copies.revoking),
            ttl_ms=ttl_ms,
            reader=sessions,
        )


class Facet:
    """Base of the facets. A facet has methods and this one attribute, and calls no other facet."""

    _context: Context
