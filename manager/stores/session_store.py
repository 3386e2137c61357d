"""Sessions in Redis, one or many at a time. A single session is a batch of one."""

from collections import defaultdict
from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, Protocol

from agent_runtime.manager.codec import (
    encode_metadata,
    encrypt_metadata,
    metadata_bytes,
    metadata_copy,
    metadata_values,
    to_session,
)
from agent_runtime.manager.encryption.providers import KeyProvider
from agent_runtime.manager.encryption.sealing import IN_THE_CLEAR, NO_KEYS, Decryptor, Encryptor
from agent_runtime.manager.errors import (
    AgentSessionsError,
    CorruptDataError,
    InvalidArgumentError,
    SessionLimitError,
)
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.models.sessions import Session, from_microseconds, session_of
from agent_runtime.manager.new_ids import is_session_id_of, new_session_id
from agent_runtime.manager.scripts import sessions as scripts
from agent_runtime.manager.scripts.replies import StoredSession
from agent_runtime.manager.scripts.sessions import Created, EncodedSession, Refusal
from agent_runtime.manager.settings import Settings
from agent_runtime.manager.stores.batch_pages import at_once
from agent_runtime.manager.stores.ids import Ids
from agent_runtime.manager.stores.local_copies import LocalCopies
from agent_runtime.manager.stores.outcomes import outcome_of
from agent_runtime.manager.transport.script_client import ScriptClient

#: Most sessions that one script reads; that keeps it well below a millisecond.
_PAGE = 50


#: The server's time when a session was read, milliseconds, and the session; None if it is not live.
Read = tuple[int, Session] | None


class SessionReader(Protocol):
    """Reads sessions by their ids: the store itself, or a cache in front of it."""

    async def read(self, session_id: str) -> Read:
        """Read one session. Raises as `SessionManager.get_session`."""

    async def read_many(self, session_ids: list[Any]) -> list[Read | AgentSessionsError]:
        """Read sessions, as many as there are ids. An error of one lies in its place."""


class PlannedSession(NamedTuple):
    """A session to be created, whose arguments were checked."""

    keys: Keys
    session_id: str
    user_id: str
    agent_id: str
    #: Fields and stored values in turn, in the clear.
    metadata: list[bytes]
    #: None if its key has to be asked for.
    encoded: EncodedSession | None


class SessionStore:
    """Creates, reads and deletes sessions.

    Args:
        ttl_ms: life of a session from its creation or last refresh, milliseconds.
        max_sessions: most sessions at once, over all partitions.
    """

    def __init__(
        self,
        client: ScriptClient,
        ids: Ids,
        key_provider: KeyProvider,
        copies: LocalCopies,
        settings: Settings,
        *,
        ttl_ms: int,
        max_sessions: int,
    ) -> None:
        self._client = client
        self._ids = ids
        self._key_provider = key_provider
        self._copies = copies
        self._settings = settings
        self._ttl_ms = ttl_ms
        self._max_sessions = max_sessions

    def plan(
        self,
        user_id: str,
        agent_id: str,
        metadata: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> PlannedSession:
        """Check the arguments of a creation.

        Raises:
            InvalidArgumentError: an argument is not acceptable.
        """
        keys = self._ids.keys_of_user(user_id)
        self._ids.check("agent_id", agent_id)
        fields = encode_metadata({} if metadata is None else metadata)
        session_id = self._id_of_new(session_id, user_id)
        encryptor = self._key_provider.encryptor_at_hand(session_id)
        encoded = (
            None if encryptor is None else self._encode(session_id, user_id, agent_id, fields, encryptor)
        )
        return PlannedSession(keys, session_id, user_id, agent_id, fields, encoded)

    async def create(self, new: PlannedSession) -> Session:
        """Create one session. Raises as `SessionManager.create_session`."""
        encoded, encryptor = new.encoded, IN_THE_CLEAR
        if encoded is None:
            encryptor = await self._key_provider.encryptor_of_new(new.user_id, new.session_id, self._ttl_ms)
            encoded = self._encode(new.session_id, new.user_id, new.agent_id, new.metadata, encryptor)
        [answer] = await self._send(new.keys, [encoded])
        is_stored = isinstance(answer, StoredSession)
        session = self._created(new, answer, await self._decryptor_of([answer]) if is_stored else NO_KEYS)
        if new.encoded is None:
            await encryptor.confirm()
        return session

    async def create_page(
        self, keys: Keys, new: Sequence[PlannedSession]
    ) -> list[Session | AgentSessionsError]:
        """Create some encoded sessions of one partition with one script."""
        answers = await self._send(keys, [each.encoded for each in new if each.encoded])
        decryptor = await self._decryptor_of(answers)
        return [
            outcome_of(self._created, each, answer, decryptor)
            for each, answer in zip(new, answers, strict=True)
        ]

    async def read(self, session_id: str) -> Read:
        """Read one session. Raises as `SessionManager.get_session`."""
        keys = self._ids.keys_of_session(session_id)
        now_ms, [stored] = await scripts.get_sessions(self._client, keys, [session_id])
        if stored is None:
            self._copies.found_gone(session_id)
            return None
        decryptor = self._key_provider.decryptor_at_hand() or await self._decryptor_of([stored])
        return now_ms, to_session(stored, decryptor)

    async def read_many(self, session_ids: list[Any]) -> list[Read | AgentSessionsError]:
        """Read sessions, as many as there are ids. An error of one lies in its place."""
        reads: list[Read | AgentSessionsError] = [None] * len(session_ids)
        places: dict[Keys, list[int]] = defaultdict(list)
        for place, session_id in enumerate(session_ids):
            try:
                places[self._ids.keys_of_session(session_id)].append(place)
            except InvalidArgumentError as error:
                reads[place] = error
        pages = [
            (keys, here[start : start + _PAGE])
            for keys, here in places.items()
            for start in range(0, len(here), _PAGE)
        ]
        unread = iter(pages)

        async def take() -> None:
            for keys, left in unread:
                await self._read_all(keys, left, session_ids, reads)

        await at_once(take, len(pages))
        return reads

    async def delete(self, keys: Keys, session_ids: Sequence[str]) -> list[bool | CorruptDataError]:
        """Delete some sessions of one partition, none named twice. Return for each if it was live."""
        with self._copies.removing(*session_ids):
            return await scripts.delete_sessions(self._client, keys, session_ids)

    async def encrypt_metadata(
        self, keys: Keys, session_id: str, metadata: Any
    ) -> tuple[list[bytes], Encryptor]:
        """Return metadata as it is stored in an existing session, and what encrypted it.

        Raises:
            InvalidArgumentError: the metadata is no JSON object, or too large.
        """
        fields = encode_metadata(metadata)
        encryptor = await self._key_provider.encryptor_of(keys, session_id)
        return encrypt_metadata(fields, encryptor, self._settings.max_metadata_bytes), encryptor

    def _send(
        self, keys: Keys, encoded: Sequence[EncodedSession]
    ) -> Awaitable[list[Created | Refusal | StoredSession]]:
        return scripts.create_sessions(
            self._client, keys, encoded, ttl_ms=self._ttl_ms, max_sessions=self._share_of_limit(keys)
        )

    def _encode(
        self, session_id: str, user_id: str, agent_id: str, fields: list[bytes], encryptor: Encryptor
    ) -> EncodedSession:
        sealed = encrypt_metadata(fields, encryptor, self._settings.max_metadata_bytes)
        size = metadata_bytes(sealed)
        return EncodedSession(session_id, user_id, agent_id, size, sealed, encryptor.user_key_id)

    def _created(
        self, new: PlannedSession, answer: Created | Refusal | StoredSession, decryptor: Decryptor
    ) -> Session:
        """Return the session that is there now, or raise the error of a refusal."""
        if isinstance(answer, StoredSession):
            return to_session(answer, decryptor)
        if answer is Refusal.FULL:
            raise SessionLimitError(f"there are {self._max_sessions} sessions already (max_sessions)")
        if answer is Refusal.ENDED:
            raise InvalidArgumentError(
                f"session_id {new.session_id!r} is that of a session that is deleted or has expired:"
                " take a new one from new_session_id()"
            )
        if isinstance(answer, Refusal):
            raise InvalidArgumentError(f"session_id {new.session_id!r} is that of another user's session")
        return session_of(
            {
                "session_id": new.session_id,
                "user_id": new.user_id,
                "agent_id": new.agent_id,
                "created_at": from_microseconds(answer.created_us),
                "expires_at": from_microseconds(answer.expires_ms * 1000),
                "metadata": metadata_copy(new.metadata),
            }
        )

    async def _read_all(
        self, keys: Keys, left: list[int], session_ids: list[str], reads: list[Read | AgentSessionsError]
    ) -> None:
        """Read the sessions at these places, with as many scripts as their size asks for."""
        while left:
            try:
                found = await self._read_page(keys, [session_ids[place] for place in left])
            except AgentSessionsError as error:
                found = [error] * len(left)
            for place, read in zip(left, found, strict=False):
                reads[place] = read
            left = left[len(found) :]

    async def _read_page(self, keys: Keys, session_ids: list[str]) -> list[Read | AgentSessionsError]:
        """Read the first of these sessions, at least one, with one script."""
        now_ms, page = await scripts.get_sessions(self._client, keys, session_ids)
        decryptor = await self._decryptor_of(page)
        for session_id, stored in zip(session_ids, page, strict=False):
            if stored is None:
                self._copies.found_gone(session_id)

        def read(stored: StoredSession | None) -> Read:
            return None if stored is None else (now_ms, to_session(stored, decryptor))

        return [outcome_of(read, stored) for stored in page]

    async def _decryptor_of(self, page: Sequence[object]) -> Decryptor:
        """Return what decrypts the stored sessions of a page."""
        stored = [each for each in page if isinstance(each, StoredSession)]
        if not stored:
            return NO_KEYS
        return self._key_provider.decryptor_at_hand() or await self._key_provider.decryptor(
            value for each in stored for value in metadata_values(each.fields)
        )

    def _id_of_new(self, session_id: str | None, user_id: str) -> str:
        if session_id is None:
            return new_session_id(user_id)
        if not is_session_id_of(self._ids.check("session_id", session_id), user_id):
            raise InvalidArgumentError(
                f"session_id must be made by new_session_id({user_id!r}), which {session_id!r} was not"
            )
        return session_id

    def _share_of_limit(self, keys: Keys) -> int:
        """Return the most sessions of this partition, so that all together never hold more than the limit."""
        count = self._settings.partitions
        return self._max_sessions // count + (keys.number < self._max_sessions % count)
