"""Methods of `SessionManager` for many sessions at once, each entry for itself."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

from agent_runtime.manager.codec import (
    encrypt_checkpoint,
    encrypt_metadata,
    metadata_bytes,
    metadata_values,
    packed,
    to_session,
)
from agent_runtime.manager.encryption.sealing import Decryptor
from agent_runtime.manager.errors import AgentSessionsError, InvalidArgumentError
from agent_runtime.manager.keys import Keys
from agent_runtime.manager.methods import checkpoints as checkpoint_methods
from agent_runtime.manager.methods import sessions as session_methods
from agent_runtime.manager.methods.batch_pages import PAGE_BYTES, Batch, Plan, at_once
from agent_runtime.manager.methods.checkpoints import CheckpointMethods
from agent_runtime.manager.methods.sessions import SessionMethods
from agent_runtime.manager.models.sessions import NewCheckpoint, NewSession, Session
from agent_runtime.manager.scripts import checkpoints as checkpoint_scripts
from agent_runtime.manager.scripts import sessions as batch_scripts
from agent_runtime.manager.scripts.checkpoints import EncodedCheckpoint
from agent_runtime.manager.scripts.replies import StoredSession
from agent_runtime.manager.scripts.sessions import EncodedSession
from agent_runtime.manager.validation import check_many, shown

#: Sessions that one script reads; that keeps it well below a millisecond.
_PAGE = 50

P = ParamSpec("P")
T = TypeVar("T")

#: A session with the server's time (ms) when it was read; None where it is not live.
Read = tuple[int, Session] | AgentSessionsError | None


class _NewSession(NamedTuple):
    plan: session_methods.Planned
    #: None where it is created on its own.
    sealed: EncodedSession | None


class _NewCheckpoint(NamedTuple):
    plan: checkpoint_methods.Planned
    #: None where it is saved on its own.
    sealed: EncodedCheckpoint | None


class BatchMethods(SessionMethods, CheckpointMethods):
    """Each answer is a list in the order of the input, with a result or an error for each entry.

    An entry is done wholly or not at all, and what is wrong with one harms no other: its error (an
    `AgentSessionsError`) lies in its place and is not raised. Entries about one session are done one after
    the other, in their order; a batch as a whole is not atomic. What is true of the single call is true of
    an entry: after `StoreOutcomeUnknownError` it can be made again, with an id of the caller's own where it
    makes something new. But it is not that call: a subclass that changes one has to change the other too.
    """

    async def create_sessions(self, sessions: Iterable[NewSession]) -> list[Session | AgentSessionsError]:
        """Creates many sessions, each as `create_session` does with these arguments.

        Raises:
            InvalidArgumentError: `sessions` is no list; nothing was written.

        Example:
            >>> created = await manager.create_sessions([
            ...     {"user_id": "user_1", "agent_id": "chatbot"},
            ...     {"user_id": "user_2", "agent_id": "chatbot", "metadata": {"tier": "premium"}},
            ... ])
            >>> failed = [each for each in created if isinstance(each, AgentSessionsError)]
        """
        return await Batch(
            check_many("sessions", sessions), self._plan_session, self._create_together, self._create_one
        ).run()

    async def get_sessions(self, session_ids: Iterable[str]) -> list[Session | AgentSessionsError | None]:
        """Reads many sessions, some tens in one call of the server; None for each that is not live.

        Raises:
            InvalidArgumentError: `session_ids` is no list.

        Example:
            >>> first, second = await manager.get_sessions(["sess_abc123", "sess_def456"])
        """
        reads = await self._read_sessions(check_many("session_ids", session_ids))
        return [read[1] if isinstance(read, tuple) else read for read in reads]

    async def delete_sessions(self, session_ids: Iterable[str]) -> list[bool | AgentSessionsError]:
        """Deletes many sessions with their checkpoints; False for each that is not live.

        Of one that is named twice, the first says that it was deleted. For all sessions of a user or an
        agent use `delete_user_sessions` or `delete_agent_sessions`, which revoke them in one step.

        Raises:
            InvalidArgumentError: `session_ids` is no list; nothing was deleted.

        Example:
            >>> await manager.delete_sessions(["sess_abc123", "sess_def456"])
            [True, False]
        """
        return await Batch(
            check_many("session_ids", session_ids),
            self._plan_deletion,
            self._delete_together,
            self.delete_session,
        ).run()

    async def save_checkpoints(self, checkpoints: Iterable[NewCheckpoint]) -> list[str | AgentSessionsError]:
        """Saves many checkpoints, each as `save_checkpoint` does with these arguments; their ids.

        Those of one session are saved in their order; up to `dedupe_above_bytes` some tens in one round trip.

        Raises:
            InvalidArgumentError: `checkpoints` is no list; nothing was written.

        Example:
            >>> await manager.save_checkpoints([
            ...     {"session_id": "sess_abc123", "data": {"turn": 1}},
            ...     {"session_id": "sess_def456", "data": {"turn": 7}, "pin": True},
            ... ])
            ['ckpt_xyz789', 'ckpt_uvw456']
        """
        return await Batch(
            check_many("checkpoints", checkpoints),
            self._plan_checkpoint,
            self._save_together,
            self._save_one,
            in_order=True,
        ).run()

    def _plan_session(self, entry: Any) -> Plan[_NewSession]:
        new = self._new_session(**({"metadata": None, "session_id": None} | _arguments(entry, NewSession)))
        encryptor = self._key_provider.encryptor_at_hand(new.session_id)
        if encryptor is None:
            return Plan(_NewSession(new, None), None)
        fields = encrypt_metadata(new.metadata, encryptor, self.settings.max_metadata_bytes)
        size = metadata_bytes(fields)
        sealed = EncodedSession(new.session_id, new.user_id, new.agent_id, size, fields)
        return Plan(_NewSession(new, sealed), new.keys, size)

    async def _create_together(
        self, keys: Keys, new: list[_NewSession]
    ) -> list[Session | AgentSessionsError]:
        answers = await batch_scripts.create_sessions(
            self._client,
            keys,
            [each.sealed for each in new if each.sealed],
            ttl_ms=self._ttl_ms,
            max_sessions=self._share_of_limit(keys),
        )
        decryptor = await self._decryptor_of(answers)
        return [
            _or_error(to_session, answer, decryptor)
            if isinstance(answer, StoredSession)
            else _or_error(self._created, each.plan, answer)
            for each, answer in zip(new, answers, strict=True)
        ]

    async def _create_one(self, new: _NewSession) -> Session:
        return await self._create(new.plan)

    def _plan_deletion(self, session_id: Any) -> Plan[str]:
        return Plan(session_id, self._partitions.of_session(self._check_id("session_id", session_id)))

    async def _delete_together(self, keys: Keys, session_ids: list[str]) -> list[bool | AgentSessionsError]:
        with self._changing(*session_ids):
            return [*await batch_scripts.delete_sessions(self._client, keys, session_ids)]

    def _plan_checkpoint(self, entry: Any) -> Plan[_NewCheckpoint]:
        new = self._new_checkpoint(
            **({"checkpoint_id": None, "pin": False} | _arguments(entry, NewCheckpoint))
        )
        encryptor = self._key_provider.encryptor_at_hand(new.session_id)
        if encryptor is None or len(new.plain) > self.settings.dedupe_above_bytes:
            return Plan(_NewCheckpoint(new, None), None)
        data = encrypt_checkpoint(
            new.checkpoint_id, packed(new.plain, self.settings.compress_above_bytes), encryptor
        )
        sealed = EncodedCheckpoint(new.session_id, new.checkpoint_id, data, new.pin)
        return Plan(_NewCheckpoint(new, sealed), new.keys, len(data))

    async def _save_together(self, keys: Keys, new: list[_NewCheckpoint]) -> list[str | AgentSessionsError]:
        answers = await checkpoint_scripts.save_checkpoints(
            self._client,
            keys,
            [each.sealed for each in new if each.sealed],
            max_unpinned=self.settings.max_checkpoints,
        )
        return [
            answer
            if isinstance(answer, AgentSessionsError)
            else each.plan.checkpoint_id
            if answer
            else self._not_live(each.plan.session_id)
            for each, answer in zip(new, answers, strict=True)
        ]

    async def _save_one(self, new: _NewCheckpoint) -> str:
        return await self._save(new.plan)

    async def _read_sessions(self, session_ids: list[Any]) -> list[Read]:
        reads: list[Read] = [None] * len(session_ids)
        places: dict[Keys, list[int]] = defaultdict(list)
        for place, session_id in enumerate(session_ids):
            try:
                places[self._partitions.of_session(self._check_id("session_id", session_id))].append(place)
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

    async def _read_all(self, keys: Keys, left: list[int], session_ids: list[str], reads: list[Read]) -> None:
        """Reads the sessions at these places, in as many calls as their size asks for."""
        while left:
            try:
                found = await self._read_page(keys, [session_ids[place] for place in left])
            except AgentSessionsError as error:
                found = [error] * len(left)
            for place, read in zip(left, found, strict=False):
                reads[place] = read
            left = left[len(found) :]

    async def _read_page(self, keys: Keys, session_ids: list[str]) -> list[Read]:
        """Of the first of these sessions, at least one."""
        now_ms, page = await batch_scripts.get_sessions(self._client, keys, session_ids, max_bytes=PAGE_BYTES)
        decryptor = await self._decryptor_of(page)

        def read(stored: StoredSession | None) -> Read:
            return None if stored is None else (now_ms, to_session(stored, decryptor))

        return [_or_error(read, stored) for stored in page]

    async def _decryptor_of(self, page: Iterable[object]) -> Decryptor:
        """What opens the stored sessions of a page."""
        stored = (each for each in page if isinstance(each, StoredSession))
        return await self._key_provider.decryptor(
            value for each in stored for value in metadata_values(each.fields)
        )


def _arguments(entry: Any, kind: Any) -> dict[str, Any]:
    """The arguments of a single call."""
    if not isinstance(entry, Mapping):
        raise InvalidArgumentError(f"an entry must be a dict, not {type(entry).__name__}")
    required, optional = kind.__required_keys__, kind.__optional_keys__
    if not required <= entry.keys() or entry.keys() - required - optional:
        raise InvalidArgumentError(
            f"an entry must have {', '.join(sorted(required))}, and may have"
            f" {', '.join(sorted(optional))}; this one has {shown(list(entry))}"
        )
    return dict(entry)


def _or_error(make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | AgentSessionsError:
    """What is made, or why it cannot be."""
    try:
        return make(*args, **kwargs)
    except AgentSessionsError as error:
        return error
