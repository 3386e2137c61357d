"""Methods of `SessionManager` for many sessions at once, each entry for itself."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Mapping
from typing import Any, TypeVar

from manager import batch_scripts
from manager.checkpoint_methods import CheckpointMethods
from manager.checks import check_many, shown
from manager.codec import metadata_values
from manager.errors import AgentSessionsError, InvalidArgumentError
from manager.keys import Keys
from manager.models import NewCheckpoint, NewSession, Session
from manager.scripts import StoredSession
from manager.session_methods import SessionMethods, to_session

#: Calls of one batch that are on their way at a time: enough to keep the server busy, and little memory.
_AT_ONCE = 256

#: Sessions and bytes that one script reads; that keeps it well below a millisecond.
_PAGE, _PAGE_BYTES = 50, 262_144

T = TypeVar("T")

#: A session with the server's time (ms) when it was read; None where it is not live.
Read = tuple[int, Session] | AgentSessionsError | None


class BatchMethods(SessionMethods, CheckpointMethods):
    """Each answer is a list in the order of the input, with a result or an error for each entry.

    An entry is done wholly or not at all, and what is wrong with one harms no other: its error (an
    `AgentSessionsError`) lies in its place and is not raised. Entries about one session are done one after
    the other, in their order; a batch as a whole is not atomic. What is true of the single call is true of
    an entry: after `StoreOutcomeUnknownError` it can be made again, with an id of the caller's own where it
    makes something new.
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
        return await _each(
            check_many("sessions", sessions), lambda new: self.create_session(**_arguments(new, NewSession))
        )

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
        return await _each(check_many("session_ids", session_ids), self.delete_session)

    async def save_checkpoints(self, checkpoints: Iterable[NewCheckpoint]) -> list[str | AgentSessionsError]:
        """Saves many checkpoints, each as `save_checkpoint` does with these arguments; their ids.

        Those of one session are saved in their order, one round trip each.

        Raises:
            InvalidArgumentError: `checkpoints` is no list; nothing was written.

        Example:
            >>> await manager.save_checkpoints([
            ...     {"session_id": "sess_abc123", "data": {"turn": 1}},
            ...     {"session_id": "sess_def456", "data": {"turn": 7}, "pin": True},
            ... ])
            ['ckpt_xyz789', 'ckpt_uvw456']
        """
        return await _each(
            check_many("checkpoints", checkpoints),
            lambda new: self.save_checkpoint(**_arguments(new, NewCheckpoint)),
        )

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

        await _at_once(take, len(pages))
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
        now_ms, page = await batch_scripts.get_sessions(self._store, keys, session_ids, max_bytes=_PAGE_BYTES)
        opener = await self._vault.opener(
            value for stored in page if stored for value in metadata_values(stored.fields)
        )

        def read(stored: StoredSession | None) -> Read:
            try:
                return None if stored is None else (now_ms, to_session(stored, opener))
            except AgentSessionsError as error:
                return error

        return [read(stored) for stored in page]


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


async def _each(entries: list[Any], call: Callable[[Any], Awaitable[T]]) -> list[T | AgentSessionsError]:
    """What `call` makes of each entry. Entries about one session wait for each other."""
    results: dict[int, T | AgentSessionsError] = {}
    queues: dict[Hashable, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        session_id = entry.get("session_id") if isinstance(entry, Mapping) else entry
        queues[session_id if isinstance(session_id, str) else place].append(place)
    left = iter(queues.values())

    async def take() -> None:
        for places in left:
            for place in places:
                try:
                    results[place] = await call(entries[place])
                except AgentSessionsError as error:
                    results[place] = error

    await _at_once(take, len(queues))
    return [results[place] for place in range(len(entries))]


async def _at_once(take: Callable[[], Coroutine[Any, Any, None]], pieces: int) -> None:
    """Does so many pieces of work, some at a time: `take` takes one after the other, while there are any."""
    await asyncio.gather(*(take() for _ in range(min(pieces, _AT_ONCE))))
