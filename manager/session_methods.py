"""Methods of `SessionManager` on sessions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from manager import scripts
from manager.base import ManagerBase
from manager.checks import check_moment_ms
from manager.codec import decode_metadata, encode_metadata, metadata_bytes
from manager.errors import CorruptDataError, InvalidArgumentError, SessionLimitError
from manager.keys import Keys, new_session_id
from manager.models import Session, from_microseconds
from manager.scripts import START, StoredSession

#: Sessions and bytes that one script reads or counts; that keeps it near a millisecond.
_PAGE, _PAGE_BYTES = 200, 262_144

_CHANGEABLE = {"metadata", "agent_id", "expires_at"}


def to_session(stored: StoredSession) -> Session:
    """The session that lies in Redis."""
    fields = stored.fields
    try:
        return Session(
            session_id=stored.session_id,
            user_id=fields[b"user"].decode(),
            agent_id=fields[b"agent"].decode(),
            created_at=from_microseconds(int(fields[b"created"])),
            expires_at=from_microseconds(int(fields[b"expires"]) * 1000),
            metadata=decode_metadata(stored.key, fields),
        )
    except (KeyError, ValueError, OverflowError) as error:
        raise CorruptDataError(f"session at {stored.key!r} cannot be read: {error!r}") from error


class SessionMethods(ManagerBase):
    """Sessions: each method on one session is one round trip."""

    async def create_session(
        self, user_id: str, agent_id: str, metadata: dict[str, Any] | None = None
    ) -> Session:
        """Creates a session that lives for `ttl` seconds.

        Args:
            user_id: who talks; any text up to `max_id_bytes`.
            agent_id: to which agent; any text up to `max_id_bytes`.
            metadata: a JSON object up to `max_metadata_bytes`.

        Raises:
            InvalidArgumentError: an argument is not acceptable (a `ValueError`); nothing was written.
            SessionLimitError: there are `max_sessions` sessions (a `RuntimeError`); nothing was written.

        Example:
            >>> session = await manager.create_session("user_123", "chatbot", {"tier": "premium"})
        """
        keys = self._partitions.of_user(self._check_id("user_id", user_id))
        self._check_id("agent_id", agent_id)
        fields = encode_metadata({} if metadata is None else metadata, self.settings.max_metadata_bytes)
        session_id = new_session_id(user_id)
        created = await scripts.create_session(
            self._store,
            keys,
            session_id=session_id,
            user_id=user_id,
            agent_id=agent_id,
            ttl_ms=self._ttl_ms,
            max_sessions=self._share_of_limit(keys),
            metadata_size=metadata_bytes(fields),
            metadata=fields,
        )
        if created is None:
            raise SessionLimitError(f"there are {self.max_sessions} sessions already (max_sessions)")
        created_us, expires_ms = created
        stored = dict(zip(fields[::2], fields[1::2], strict=True))
        return Session(
            session_id=session_id,
            user_id=user_id,
            agent_id=agent_id,
            created_at=from_microseconds(created_us),
            expires_at=from_microseconds(expires_ms * 1000),
            metadata=decode_metadata(keys.session(session_id), stored),
        )

    async def get_session(self, session_id: str) -> Session | None:
        """The session; None where it does not exist, has expired or has been revoked.

        Example:
            >>> session = await manager.get_session("sess_abc123")
        """
        found = await self._read_session(session_id)
        return None if found is None else found[1]

    async def session_exists(self, session_id: str) -> bool:
        """Whether the session is live.

        Example:
            >>> await manager.session_exists("sess_abc123")
            False
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        return await scripts.session_exists(self._store, keys, session_id)

    async def update_session(self, session_id: str, **updates: Any) -> bool:
        """Replaces `metadata`, `agent_id` or `expires_at` (a datetime with a time zone) of a session.

        Returns:
            Whether the session was live, and so was updated.

        Raises:
            InvalidArgumentError: any other field, or a value that is not acceptable; nothing was written.

        Example:
            >>> await manager.update_session("sess_abc123", metadata={"topic": "weather"})
            True
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        fixed = sorted(updates.keys() - _CHANGEABLE)
        if fixed:
            raise InvalidArgumentError(
                f"{', '.join(fixed)} cannot be updated; only {', '.join(sorted(_CHANGEABLE))} can"
            )
        agent_id: str = ""
        if "agent_id" in updates:
            agent_id = self._check_id("agent_id", updates["agent_id"])
        expires_ms: int | str = ""
        if "expires_at" in updates:
            expires_ms = check_moment_ms("expires_at", updates["expires_at"])
        fields: list[bytes] = []
        size: int | str = ""
        if "metadata" in updates:
            fields = encode_metadata(updates["metadata"], self.settings.max_metadata_bytes)
            size = metadata_bytes(fields)
        with self._changing(session_id):
            updated = await scripts.update_session(
                self._store,
                keys,
                session_id=session_id,
                agent_id=agent_id,
                expires_ms=expires_ms,
                metadata_size=size,
                metadata=fields,
            )
        if updated is None:
            raise InvalidArgumentError(f"expires_at must be in the future, not {updates['expires_at']}")
        return updated

    async def update_session_metadata(self, session_id: str, metadata: dict[str, Any]) -> bool:
        """Sets the given metadata keys and leaves the others; concurrent calls lose nothing.

        Returns:
            Whether the session was live, and so was updated.

        Raises:
            InvalidArgumentError: not a JSON object, or the whole would be over `max_metadata_bytes`.

        Example:
            >>> await manager.update_session_metadata("sess_abc123", {"message_count": 5})
            True
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        limit = self.settings.max_metadata_bytes
        fields = encode_metadata(metadata, limit)
        with self._changing(session_id):
            updated = await scripts.merge_metadata(
                self._store, keys, session_id=session_id, max_bytes=limit, metadata=fields
            )
        if updated is None:
            raise InvalidArgumentError(
                f"metadata merged into the session's would be over {limit} bytes (max_metadata_bytes)"
            )
        return updated

    async def refresh_session(self, session_id: str) -> bool:
        """Lets a live session live for another `ttl` seconds from now, with its checkpoints.

        Example:
            >>> await manager.refresh_session("sess_abc123")
            True
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        with self._changing(session_id):
            return await scripts.refresh_session(self._store, keys, session_id, self._ttl_ms)

    async def delete_session(self, session_id: str) -> bool:
        """Deletes a session with its checkpoints; False where it is not live.

        Example:
            >>> await manager.delete_session("sess_abc123")
            True
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        with self._changing(session_id):
            return await scripts.delete_session(self._store, keys, session_id)

    async def get_sessions_by_user(self, user_id: str) -> list[Session]:
        """All live sessions of a user, oldest first. For very many, use `iter_sessions_by_user`.

        Example:
            >>> for session in await manager.get_sessions_by_user("user_123"):
            ...     print(session.session_id, session.agent_id)
        """
        return await _oldest_first(self.iter_sessions_by_user(user_id))

    async def get_sessions_by_agent(self, agent_id: str) -> list[Session]:
        """All live sessions of an agent, oldest first. For very many, use `iter_sessions_by_agent`.

        Example:
            >>> sessions = await manager.get_sessions_by_agent("chatbot")
        """
        return await _oldest_first(self.iter_sessions_by_agent(agent_id))

    async def iter_sessions_by_user(self, user_id: str) -> AsyncIterator[Session]:
        """Goes over the live sessions of a user, next to expire first, some hundred at a time.

        A session that is refreshed meanwhile may come twice; none that stays live is left out.

        Example:
            >>> async for session in manager.iter_sessions_by_user("user_123"):
            ...     print(session.session_id)
        """
        keys = self._partitions.of_user(self._check_id("user_id", user_id))
        async for session in self._iter_index(keys, keys.user_index(user_id)):
            yield session

    async def iter_sessions_by_agent(self, agent_id: str) -> AsyncIterator[Session]:
        """Goes over the live sessions of an agent; otherwise as `iter_sessions_by_user`.

        Example:
            >>> async for session in manager.iter_sessions_by_agent("chatbot"):
            ...     print(session.session_id)
        """
        self._check_id("agent_id", agent_id)
        for keys in self._partitions.all:
            async for session in self._iter_index(keys, keys.agent_index(agent_id)):
                yield session

    async def get_active_session_count(self, user_id: str | None = None) -> int:
        """How many sessions are live, of one user or of all; revoked ones never count.

        Exact while no bulk deletion is open. While two are that share sessions (a user's and an agent's, in
        their grace perhaps), the count of all is low by what they share; while one of an agent is, a user's
        sessions are counted page by page, and one that is refreshed meanwhile may count twice.

        Example:
            >>> await manager.get_active_session_count("user_123")
            3
        """
        if user_id is None:
            return sum(await asyncio.gather(*(self._count_all(keys) for keys in self._partitions.all)))
        keys = self._partitions.of_user(self._check_id("user_id", user_id))
        total, cursor = await scripts.count_user_sessions(self._store, keys, user_id, START, _PAGE)
        while cursor != START:
            count, cursor = await scripts.count_user_sessions(self._store, keys, user_id, cursor, _PAGE)
            total += count
        return total

    async def _count_all(self, keys: Keys) -> int:
        total, seen = await scripts.count_sessions(self._store, keys, 0)
        while seen >= 0:
            count, seen = await scripts.count_sessions(self._store, keys, seen)
            total += count
        return max(total, 0)

    async def _read_session(self, session_id: str) -> tuple[int, Session] | None:
        """The server's time (ms) and the session."""
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        found = await scripts.get_session(self._store, keys, session_id)
        return None if found is None else (found[0], to_session(found[1]))

    async def _iter_index(self, keys: Keys, index: bytes) -> AsyncIterator[Session]:
        cursor = START
        while True:
            cursor, page = await scripts.list_sessions(
                self._store, keys, index, cursor, limit=_PAGE, max_bytes=_PAGE_BYTES
            )
            for stored in page:
                yield to_session(stored)
            if cursor == START:
                return

    def _share_of_limit(self, keys: Keys) -> int:
        """Sessions this partition may hold, so that all together never hold more than `max_sessions`."""
        count = self.settings.partitions
        return self.max_sessions // count + (keys.number < self.max_sessions % count)


async def _oldest_first(found: AsyncIterator[Session]) -> list[Session]:
    by_id = {session.session_id: session async for session in found}
    return sorted(by_id.values(), key=lambda session: session.created_at)
