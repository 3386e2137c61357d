"""Methods of `SessionManager` on one session."""

import time
from datetime import datetime
from typing import Any

from agent_runtime.manager.codec import metadata_bytes
from agent_runtime.manager.encryption.sealing import IN_THE_CLEAR
from agent_runtime.manager.errors import InvalidArgumentError
from agent_runtime.manager.methods.context import Facet
from agent_runtime.manager.models.sessions import Session
from agent_runtime.manager.scripts import sessions as scripts
from agent_runtime.manager.stores.outcomes import result_of
from agent_runtime.manager.validation import check_moment_ms

_CHANGEABLE = {"metadata", "agent_id", "expires_at"}


class SessionMethods(Facet):
    """Creates, reads, changes and deletes one session. Each call is one round trip."""

    async def create_session(
        self,
        user_id: str,
        agent_id: str,
        metadata: dict[str, Any] | None = None,
        *,
        session_id: str | None = None,
    ) -> Session:
        """Create a session that lives for `ttl` seconds.

        Args:
            user_id: the user who talks; any text up to `max_id_bytes`.
            agent_id: the agent that answers; any text up to `max_id_bytes`.
            metadata: a JSON object up to `max_metadata_bytes`.
            session_id: an id from `new_session_id(user_id)`, for a caller who may have to repeat the call. If
                the user has a session with this id already, that session is returned as it is.

        Returns:
            The session, with its times by the server's clock.

        Raises:
            InvalidArgumentError: an argument is not acceptable (a `ValueError`); nothing was written.
            SessionLimitError: there are `max_sessions` sessions (a `RuntimeError`); nothing was written.

        Example:
            >>> session = await manager.create_session("user_123", "chatbot", {"tier": "premium"})
        """
        store = self._context.sessions
        return await store.create(store.plan(user_id, agent_id, metadata, session_id))

    async def get_session(self, session_id: str) -> Session | None:
        """Return a session, or None if it does not exist, has expired or has been revoked.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).
            CorruptDataError: the session cannot be read; the message names its key.

        Example:
            >>> session = await manager.get_session("sess_abc123")
        """
        found = await self._context.reader.read(session_id)
        return None if found is None else found[1]

    async def session_exists(self, session_id: str) -> bool:
        """Return True if a session is live: it exists, has not expired and has not been revoked.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> await manager.session_exists("sess_abc123")
            False
        """
        context = self._context
        keys = context.ids.keys_of_session(session_id)
        return context.copies.found(
            session_id, await scripts.session_exists(context.client, keys, session_id)
        )

    async def update_session(self, session_id: str, **updates: Any) -> bool:
        """Replace `metadata`, `agent_id` or `expires_at` (a datetime with a time zone) of a session.

        Returns:
            True if the session was live, and so was updated.

        Raises:
            InvalidArgumentError: there is another field, or a value is not acceptable (a `ValueError`);
                nothing was written.

        Example:
            >>> await manager.update_session("sess_abc123", metadata={"topic": "weather"})
            True
        """
        context = self._context
        keys = context.ids.keys_of_session(session_id)
        _check_changeable(updates)
        agent_id = context.ids.check("agent_id", updates["agent_id"]) if "agent_id" in updates else ""
        expires_ms = _expiry_in(updates)
        fields: list[bytes] = []
        encryptor, size = IN_THE_CLEAR, ""
        if "metadata" in updates:
            fields, encryptor = await context.sessions.encrypt_metadata(keys, session_id, updates["metadata"])
            size = str(metadata_bytes(fields))
        if expires_ms is not None:
            await context.key_provider.prolong(keys, session_id, expires_ms - time.time() * 1000)
        with context.copies.changing(session_id):
            updated = await scripts.update_session(
                context.client,
                keys,
                session_id=session_id,
                agent_id=agent_id,
                expires_ms="" if expires_ms is None else expires_ms,
                metadata_size=size,
                metadata=fields,
            )
        if updated:
            await encryptor.confirm()
        elif updated is None:
            raise InvalidArgumentError(f"expires_at must be in the future, not {updates['expires_at']}")
        return context.copies.found(session_id, updated)

    async def update_session_metadata(self, session_id: str, metadata: dict[str, Any]) -> bool:
        """Set the given metadata keys of a session and leave the others. Concurrent calls lose nothing.

        Returns:
            True if the session was live, and so was updated.

        Raises:
            InvalidArgumentError: the metadata is no JSON object, or the whole would be over
                `max_metadata_bytes` (a `ValueError`); nothing was written.

        Example:
            >>> await manager.update_session_metadata("sess_abc123", {"message_count": 5})
            True
        """
        context = self._context
        keys = context.ids.keys_of_session(session_id)
        limit = context.settings.max_metadata_bytes
        fields, encryptor = await context.sessions.encrypt_metadata(keys, session_id, metadata)
        with context.copies.changing(session_id):
            updated = await scripts.merge_metadata(
                context.client, keys, session_id=session_id, max_bytes=limit, metadata=fields
            )
        if updated:
            await encryptor.confirm()
        elif updated is None:
            raise InvalidArgumentError(
                f"metadata merged into the session's would be over {limit} bytes (max_metadata_bytes)"
            )
        return context.copies.found(session_id, updated)

    async def refresh_session(self, session_id: str) -> bool:
        """Let a live session, with its checkpoints, live for another `ttl` seconds from now.

        Returns:
            True if the session was live, and so was refreshed.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> await manager.refresh_session("sess_abc123")
            True
        """
        context = self._context
        keys = context.ids.keys_of_session(session_id)
        await context.key_provider.prolong(keys, session_id, context.ttl_ms)
        with context.copies.changing(session_id):
            refreshed = await scripts.refresh_session(context.client, keys, session_id, context.ttl_ms)
        return context.copies.found(session_id, refreshed)

    async def delete_session(self, session_id: str) -> bool:
        """Delete a session with its checkpoints.

        Returns:
            True if the session was live, and so was deleted.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> await manager.delete_session("sess_abc123")
            True
        """
        keys = self._context.ids.keys_of_session(session_id)
        [deleted] = await self._context.sessions.delete(keys, [session_id])
        return result_of(deleted)


def _check_changeable(updates: dict[str, Any]) -> None:
    fixed = sorted(updates.keys() - _CHANGEABLE)
    if fixed:
        raise InvalidArgumentError(
            f"{', '.join(fixed)} cannot be updated; only {', '.join(sorted(_CHANGEABLE))} can"
        )


def _expiry_in(updates: dict[str, datetime]) -> int | None:
    """Return the new moment of expiry, milliseconds since 1970, if there is one."""
    return check_moment_ms("expires_at", updates["expires_at"]) if "expires_at" in updates else None
