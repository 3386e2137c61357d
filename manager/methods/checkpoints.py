"""Methods of `SessionManager` on checkpoints."""

from functools import partial
from typing import Any

from agent_runtime.manager.codec import to_checkpoint
from agent_runtime.manager.methods.context import Facet
from agent_runtime.manager.scripts import checkpoints as scripts
from agent_runtime.manager.skip_corrupt import SkipCorrupt

#: Checkpoints or bytes after which one page of a listing ends.
_PAGE, _PAGE_BYTES = 200, 1_048_576


class CheckpointMethods(Facet):
    """Saves, reads, pins and deletes checkpoints: one round trip each (a listing, one per megabyte)."""

    async def save_checkpoint(
        self,
        session_id: str,
        data: dict[str, Any],
        *,
        checkpoint_id: str | None = None,
        pin: bool = False,
    ) -> str:
        """Add a checkpoint to a session.

        If the setting `max_checkpoints` is given, the same step removes the oldest unpinned checkpoints
        beyond it.

        Args:
            session_id: a live session.
            data: a JSON object up to `max_checkpoint_bytes`.
            checkpoint_id: an id of the caller's own, for a caller who may have to repeat the call. If the
                session has a checkpoint with this id already, that checkpoint stays as it is.
            pin: True to pin the checkpoint, as `pin_checkpoint` does.

        Returns:
            The id of the checkpoint.

        Raises:
            SessionNotFoundError: the session is not live (a `ValueError`).
            InvalidArgumentError: an argument is not acceptable (a `ValueError`); nothing was written.

        Example:
            >>> checkpoint_id = await manager.save_checkpoint("sess_abc123", {"turn": 1, "history": []})
        """
        store = self._context.checkpoints
        return await store.save(store.plan(session_id, data, checkpoint_id, pin))

    async def get_checkpoint(self, session_id: str, checkpoint_id: str) -> dict[str, Any] | None:
        """Return a checkpoint as a dictionary with `checkpoint_id`, `session_id`, `data` and `created_at`.

        Returns:
            The dictionary, or None if there is no such checkpoint or the session is not live.

        Raises:
            InvalidArgumentError: an id is not acceptable (a `ValueError`).
            CorruptDataError: the checkpoint cannot be read; the message names its key.

        Example:
            >>> checkpoint = await manager.get_checkpoint("sess_abc123", "ckpt_xyz789")
        """
        context = self._context
        return await context.checkpoints.read(session_id, context.ids.check("checkpoint_id", checkpoint_id))

    async def get_latest_checkpoint(self, session_id: str) -> dict[str, Any] | None:
        """Return the newest checkpoint of a session, as `get_checkpoint` does.

        Returns:
            The dictionary, or None if the session has no checkpoint or is not live.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).
            CorruptDataError: the checkpoint cannot be read; the message names its key.

        Example:
            >>> checkpoint = await manager.get_latest_checkpoint("sess_abc123")
        """
        return await self._context.checkpoints.read(session_id, "")

    async def list_checkpoints(self, session_id: str) -> list[dict[str, Any]]:
        """Return all checkpoints of a session, oldest first, each as `get_checkpoint` does.

        Fewer than 200 checkpoints and one megabyte are as at one moment. A checkpoint that cannot be read is
        left out and logged.

        Returns:
            The dictionaries; an empty list if the session is not live.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> for checkpoint in await manager.list_checkpoints("sess_abc123"):
            ...     print(checkpoint["checkpoint_id"], checkpoint["created_at"])
        """
        context = self._context
        keys = context.ids.keys_of_session(session_id)
        found: list[dict[str, Any]] = []
        after_us, listing = 0.0, SkipCorrupt()
        while True:
            page = await scripts.list_checkpoints(
                context.client, keys, session_id, after_us=after_us, limit=_PAGE, max_bytes=_PAGE_BYTES
            )
            decryptor = await context.key_provider.decryptor(page.values())
            found += listing.readable(
                page.checkpoints, partial(to_checkpoint, session_id, decryptor=decryptor)
            )
            if not page.checkpoints and not after_us:
                context.copies.found_gone(session_id)
            if len(page.checkpoints) < _PAGE and page.size < _PAGE_BYTES:
                return found
            after_us = page.checkpoints[-1].created_us

    async def pin_checkpoint(self, session_id: str, checkpoint_id: str) -> bool:
        """Pin a checkpoint. No pruning and no bound removes it then, only a deletion or the session's end.

        Returns:
            True if there is such a checkpoint in a live session, pinned before or not.

        Raises:
            InvalidArgumentError: an id is not acceptable (a `ValueError`).

        Example:
            >>> await manager.pin_checkpoint("sess_abc123", "ckpt_xyz789")
            True
        """
        keys = self._context.ids.keys_of_session(session_id)
        self._context.ids.check("checkpoint_id", checkpoint_id)
        return await scripts.pin_checkpoint(self._context.client, keys, session_id, checkpoint_id)

    async def unpin_checkpoint(self, session_id: str, checkpoint_id: str) -> bool:
        """Unpin a checkpoint, which stays until a pruning or the bound removes it.

        Returns:
            True if there is such a checkpoint in a live session, pinned before or not.

        Raises:
            InvalidArgumentError: an id is not acceptable (a `ValueError`).

        Example:
            >>> await manager.unpin_checkpoint("sess_abc123", "ckpt_xyz789")
            True
        """
        keys = self._context.ids.keys_of_session(session_id)
        self._context.ids.check("checkpoint_id", checkpoint_id)
        return await scripts.unpin_checkpoint(self._context.client, keys, session_id, checkpoint_id)

    async def pinned_checkpoints(self, session_id: str) -> list[str]:
        """Return the ids of the pinned checkpoints of a session, oldest first.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> await manager.pinned_checkpoints("sess_abc123")
            ['ckpt_xyz789']
        """
        keys = self._context.ids.keys_of_session(session_id)
        return await scripts.list_pins(self._context.client, keys, session_id)

    async def delete_checkpoint(self, session_id: str, checkpoint_id: str) -> bool:
        """Delete one checkpoint, pinned or not.

        Returns:
            True if there was such a checkpoint in a live session.

        Raises:
            InvalidArgumentError: an id is not acceptable (a `ValueError`).

        Example:
            >>> await manager.delete_checkpoint("sess_abc123", "ckpt_xyz789")
            True
        """
        context = self._context
        keys = context.ids.keys_of_session(session_id)
        context.ids.check("checkpoint_id", checkpoint_id)
        with context.copies.removing_checkpoints(session_id):
            return await scripts.delete_checkpoint(context.client, keys, session_id, checkpoint_id)

    async def clear_checkpoints(self, session_id: str) -> int:
        """Delete all checkpoints of a session, pinned or not.

        Returns:
            The number of checkpoints that there were; 0 if the session is not live.

        Raises:
            InvalidArgumentError: the id is not acceptable (a `ValueError`).

        Example:
            >>> await manager.clear_checkpoints("sess_abc123")
            3
        """
        context = self._context
        keys = context.ids.keys_of_session(session_id)
        with context.copies.removing_checkpoints(session_id):
            return await scripts.clear_checkpoints(context.client, keys, session_id)
