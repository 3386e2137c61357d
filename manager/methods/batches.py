"""Methods of `SessionManager` for many sessions at once, each entry for itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from agent_runtime.manager.errors import AgentSessionsError, InvalidArgumentError
from agent_runtime.manager.methods.context import Facet
from agent_runtime.manager.models.sessions import NewCheckpoint, NewSession, Session
from agent_runtime.manager.stores.batch_pages import Batch, Plan
from agent_runtime.manager.stores.checkpoint_store import PlannedCheckpoint
from agent_runtime.manager.stores.session_store import PlannedSession
from agent_runtime.manager.validation import check_many, shown


class BatchMethods(Facet):
    """Creates, reads, deletes and saves many at once, some tens per round trip.

    Each call returns a list in the order of the input, with a result or an error for each entry. An entry is
    done wholly or not at all. A wrong entry harms no other: its error (an `AgentSessionsError`) lies in its
    place and is not raised. Entries about one session are done one after the other, in their order; a batch
    as a whole is not atomic. What holds for the single call holds for an entry: after
    `StoreOutcomeUnknownError` the entry can be repeated, with an id of the caller's own if it makes something
    new.

    Single calls and batches run the same code below these methods, but neither calls the other. So a subclass
    that overrides `get_session` changes what `get_session` returns, and `get_sessions` goes on reading the
    store.
    """

    async def create_sessions(self, sessions: Iterable[NewSession]) -> list[Session | AgentSessionsError]:
        """Create many sessions, each as `create_session` does with these arguments.

        Returns:
            For each entry the session, or its error.

        Raises:
            InvalidArgumentError: `sessions` is no list (a `ValueError`); nothing was written.

        Example:
            >>> created = await manager.create_sessions([
            ...     {"user_id": "user_1", "agent_id": "chatbot"},
            ...     {"user_id": "user_2", "agent_id": "chatbot", "metadata": {"tier": "premium"}},
            ... ])
            >>> failed = [each for each in created if isinstance(each, AgentSessionsError)]
        """
        store = self._context.sessions

        def plan(entry: Any) -> Plan[PlannedSession]:
            new = store.plan(**_arguments(entry, NewSession))
            return Plan(new, new.keys, new.encoded.metadata_size) if new.encoded else Plan(new, None)

        return await Batch(check_many("sessions", sessions), plan, store.create_page, store.create).run()

    async def get_sessions(self, session_ids: Iterable[str]) -> list[Session | AgentSessionsError | None]:
        """Read many sessions, up to 50 of one partition per round trip.

        Returns:
            For each id the session, or None if it is not live, or its error.

        Raises:
            InvalidArgumentError: `session_ids` is no list (a `ValueError`).

        Example:
            >>> first, second = await manager.get_sessions(["sess_abc123", "sess_def456"])
        """
        reads = await self._context.reader.read_many(check_many("session_ids", session_ids))
        return [read[1] if isinstance(read, tuple) else read for read in reads]

    async def delete_sessions(self, session_ids: Iterable[str]) -> list[bool | AgentSessionsError]:
        """Delete many sessions with their checkpoints.

        For all sessions of a user or an agent use `delete_user_sessions` or `delete_agent_sessions`, which
        revoke them in one step.

        Returns:
            For each id True if the session was live, or its error. Of an id that is named twice, the first
            is True.

        Raises:
            InvalidArgumentError: `session_ids` is no list (a `ValueError`); nothing was deleted.

        Example:
            >>> await manager.delete_sessions(["sess_abc123", "sess_def456"])
            [True, False]
        """
        context = self._context

        def plan(session_id: Any) -> Plan[str]:
            return Plan(session_id, context.ids.keys_of_session(session_id))

        return await Batch(check_many("session_ids", session_ids), plan, context.sessions.delete).run()

    async def save_checkpoints(self, checkpoints: Iterable[NewCheckpoint]) -> list[str | AgentSessionsError]:
        """Save many checkpoints, each as `save_checkpoint` does with these arguments.

        Checkpoints of one session are saved in their order; up to `dedupe_above_bytes`, some tens per round
        trip.

        Returns:
            For each entry the id of the checkpoint, or its error.

        Raises:
            InvalidArgumentError: `checkpoints` is no list (a `ValueError`); nothing was written.

        Example:
            >>> await manager.save_checkpoints([
            ...     {"session_id": "sess_abc123", "data": {"turn": 1}},
            ...     {"session_id": "sess_def456", "data": {"turn": 7}, "pin": True},
            ... ])
            ['ckpt_xyz789', 'ckpt_uvw456']
        """
        store = self._context.checkpoints

        def plan(entry: Any) -> Plan[PlannedCheckpoint]:
            new = store.plan(**_arguments(entry, NewCheckpoint))
            return Plan(new, new.keys, len(new.encoded.data)) if new.encoded else Plan(new, None)

        entries = check_many("checkpoints", checkpoints)
        return await Batch(entries, plan, store.save_page, store.save, in_order=True).run()


def _arguments(entry: Any, kind: Any) -> dict[str, Any]:
    """Return the arguments of a single call."""
    if not isinstance(entry, Mapping):
        raise InvalidArgumentError(f"an entry must be a dict, not {type(entry).__name__}")
    required, optional = kind.__required_keys__, kind.__optional_keys__
    if not required <= entry.keys() or entry.keys() - required - optional:
        raise InvalidArgumentError(
            f"an entry must have {', '.join(sorted(required))}, and may have"
            f" {', '.join(sorted(optional))}; this one has {shown(list(entry))}"
        )
    return dict(entry)
