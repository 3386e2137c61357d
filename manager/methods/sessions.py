"""Methods of `SessionManager` on sessions."""

import time
from typing import Any, NamedTuple

from agent_runtime.manager.codec import (
    encode_metadata,
    encrypt_metadata,
    metadata_bytes,
    metadata_copy,
    metadata_values,
    to_session,
)
from agent_runtime.manager.encryption.sealing import IN_THE_CLEAR, Encryptor
from agent_runtime.manager.errors import InvalidArgumentError, SessionLimitError
from agent_runtime.manager.keys import Keys, is_session_id_of, new_session_id
from agent_runtime.manager.methods.context import ManagerBase
from agent_runtime.manager.models.sessions import Session, from_microseconds, session_of
from agent_runtime.manager.scripts import sessions as scripts
from agent_runtime.manager.scripts.replies import StoredSession
from agent_runtime.manager.scripts.sessions import Created, Refusal
from agent_runtime.manager.validation import check_moment_ms

_CHANGEABLE = {"metadata", "agent_id", "expires_at"}


class Planned(NamedTuple):
    """A session that is to be created."""

    keys: Keys
    session_id: str
    user_id: str
    agent_id: str
    #: Fields and stored values in turn, in the clear.
    metadata: list[bytes]


class SessionMethods(ManagerBase):
    """Sessions: each method on one session is one round trip."""

    async def create_session(
        self,
        user_id: str,
        agent_id: str,
        metadata: dict[str, Any] | None = None,
        *,
        session_id: str | None = None,
    ) -> Session:
        """Creates a session that lives for `ttl` seconds.

        Args:
            user_id: who talks; any text up to `max_id_bytes`.
            agent_id: to which agent; any text up to `max_id_bytes`.
            metadata: a JSON object up to `max_metadata_bytes`.
            session_id: an id from `new_session_id(user_id)`, for a caller who may have to make the call
                again. Where the user has a session with this id already, that is returned as it is.

        Raises:
            InvalidArgumentError: an argument is not acceptable (a `ValueError`); nothing was written.
            SessionLimitError: there are `max_sessions` sessions (a `RuntimeError`); nothing was written.

        Example:
            >>> session = await manager.create_session("user_123", "chatbot", {"tier": "premium"})
        """
        return await self._create(self._new_session(user_id, agent_id, metadata, session_id))

    async def get_session(self, session_id: str) -> Session | None:
        """The session; None where it does not exist, has expired or has been revoked.

        Raises:
            CorruptDataError: it cannot be read; the message names its key.

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
        return await scripts.session_exists(self._client, keys, session_id)

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
        expires_ms: int | None = None
        if "expires_at" in updates:
            expires_ms = check_moment_ms("expires_at", updates["expires_at"])
        fields: list[bytes] = []
        encryptor, size = IN_THE_CLEAR, ""
        if "metadata" in updates:
            fields, encryptor = await self._sealed(keys, session_id, updates["metadata"])
            size = str(metadata_bytes(fields))
        if expires_ms is not None:
            await self._key_provider.prolong(keys, session_id, expires_ms - time.time() * 1000)
        with self._changing(session_id):
            updated = await scripts.update_session(
                self._client,
                keys,
                session_id=session_id,
                agent_id=agent_id,
                expires_ms="" if expires_ms is None else expires_ms,
                metadata_size=size,
                metadata=fields,
            )
        if updated:
            await encryptor.confirm()
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
        fields, encryptor = await self._sealed(keys, session_id, metadata)
        with self._changing(session_id):
            updated = await scripts.merge_metadata(
                self._client, keys, session_id=session_id, max_bytes=limit, metadata=fields
            )
        if updated:
            await encryptor.confirm()
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
        await self._key_provider.prolong(keys, session_id, self._ttl_ms)
        with self._changing(session_id):
            return await scripts.refresh_session(self._client, keys, session_id, self._ttl_ms)

    async def delete_session(self, session_id: str) -> bool:
        """Deletes a session with its checkpoints; False where it is not live.

        Example:
            >>> await manager.delete_session("sess_abc123")
            True
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        self._chunk_index.opened.forget(session_id)
        with self._changing(session_id):
            return await scripts.delete_session(self._client, keys, session_id)

    def _new_session(
        self, user_id: str, agent_id: str, metadata: dict[str, Any] | None, session_id: str | None
    ) -> Planned:
        """A session to be created, once its arguments are checked."""
        keys = self._partitions.of_user(self._check_id("user_id", user_id))
        self._check_id("agent_id", agent_id)
        fields = encode_metadata({} if metadata is None else metadata)
        return Planned(keys, self._id_of_new_session(session_id, user_id), user_id, agent_id, fields)

    async def _create(self, new: Planned) -> Session:
        encryptor = await self._key_provider.encryptor_of_new(new.user_id, new.session_id, self._ttl_ms)
        sealed = encrypt_metadata(new.metadata, encryptor, self.settings.max_metadata_bytes)
        created = await scripts.create_session(
            self._client,
            new.keys,
            session_id=new.session_id,
            user_id=new.user_id,
            agent_id=new.agent_id,
            ttl_ms=self._ttl_ms,
            max_sessions=self._share_of_limit(new.keys),
            metadata_size=metadata_bytes(sealed),
            metadata=sealed,
            user_key_id=encryptor.user_key_id,
        )
        if isinstance(created, StoredSession):
            return await self._opened(created)
        session = self._created(new, created)
        await encryptor.confirm()
        return session

    def _created(self, new: Planned, created: Created | Refusal) -> Session:
        """The session, now that it is there, or the error of a refusal."""
        if isinstance(created, Refusal):
            raise self._refused(created, new.session_id)
        return session_of(
            {
                "session_id": new.session_id,
                "user_id": new.user_id,
                "agent_id": new.agent_id,
                "created_at": from_microseconds(created.created_us),
                "expires_at": from_microseconds(created.expires_ms * 1000),
                "metadata": metadata_copy(new.metadata),
            }
        )

    async def _read_session(self, session_id: str) -> tuple[int, Session] | None:
        """The server's time (ms) and the session."""
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        found = await scripts.get_session(self._client, keys, session_id)
        return None if found is None else (found[0], await self._opened(found[1]))

    async def _opened(self, stored: StoredSession) -> Session:
        decryptor = self._key_provider.decryptor_at_hand()
        return to_session(
            stored, decryptor or await self._key_provider.decryptor(metadata_values(stored.fields))
        )

    async def _sealed(self, keys: Keys, session_id: str, metadata: Any) -> tuple[list[bytes], Encryptor]:
        """Fields of the session's hash, and what sealed them."""
        fields = encode_metadata(metadata)
        encryptor = await self._key_provider.encryptor_of(keys, session_id)
        return encrypt_metadata(fields, encryptor, self.settings.max_metadata_bytes), encryptor

    def _refused(self, why: Refusal, session_id: str) -> SessionLimitError | InvalidArgumentError:
        if why is Refusal.FULL:
            return SessionLimitError(f"there are {self.max_sessions} sessions already (max_sessions)")
        return InvalidArgumentError(f"session_id {session_id!r} is that of another user's session")

    def _id_of_new_session(self, session_id: str | None, user_id: str) -> str:
        if session_id is None:
            return new_session_id(user_id)
        if not is_session_id_of(self._check_id("session_id", session_id), user_id):
            raise InvalidArgumentError(
                f"session_id must be made by new_session_id({user_id!r}), which {session_id!r} was not"
            )
        return session_id

    def _share_of_limit(self, keys: Keys) -> int:
        """Sessions this partition may hold, so that all together never hold more than `max_sessions`."""
        count = self.settings.partitions
        return self.max_sessions // count + (keys.number < self.max_sessions % count)
