"""Methods of `SessionManager` on checkpoints."""

from typing import Any

from manager import scripts
from manager.base import ManagerBase
from manager.codec import decode_checkpoint, encode_checkpoint
from manager.errors import SessionNotFoundError
from manager.keys import new_checkpoint_id
from manager.models import Checkpoint, from_microseconds
from manager.scripts import StoredCheckpoint

#: One page of a listing ends after so many checkpoints or so many bytes.
_PAGE, _PAGE_BYTES = 200, 1_048_576


def to_checkpoint(session_id: str, stored: StoredCheckpoint) -> dict[str, Any]:
    """The fields of `Checkpoint`, as the dictionary that callers get."""
    return Checkpoint.model_construct(
        checkpoint_id=stored.checkpoint_id,
        session_id=session_id,
        data=decode_checkpoint(stored.key, stored.data),
        created_at=from_microseconds(stored.created_us),
    ).__dict__


class CheckpointMethods(ManagerBase):
    """Checkpoints: each method is one round trip (a listing, one per megabyte)."""

    async def save_checkpoint(self, session_id: str, data: dict[str, Any]) -> str:
        """Adds a checkpoint to a session and returns its id.

        Args:
            session_id: a live session.
            data: a JSON object up to `max_checkpoint_bytes`.

        Raises:
            SessionNotFoundError: the session is not live (a `ValueError`).
            InvalidArgumentError: `data` is not acceptable (a `ValueError`); nothing was written.

        Example:
            >>> checkpoint_id = await manager.save_checkpoint("sess_abc123", {"turn": 1, "history": []})
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        encoded = encode_checkpoint(
            data, self.settings.max_checkpoint_bytes, self.settings.compress_above_bytes
        )
        checkpoint_id = new_checkpoint_id()
        if not await scripts.save_checkpoint(self._store, keys, session_id, checkpoint_id, encoded):
            raise SessionNotFoundError(f"session {session_id!r} does not exist or is not live")
        return checkpoint_id

    async def get_checkpoint(self, session_id: str, checkpoint_id: str) -> dict[str, Any] | None:
        """A checkpoint as a dictionary with `checkpoint_id`, `session_id`, `data` and `created_at`.

        Example:
            >>> checkpoint = await manager.get_checkpoint("sess_abc123", "ckpt_xyz789")
        """
        return await self._get_checkpoint(session_id, self._check_id("checkpoint_id", checkpoint_id))

    async def get_latest_checkpoint(self, session_id: str) -> dict[str, Any] | None:
        """The newest checkpoint of a session; None where it has none or is not live.

        Example:
            >>> checkpoint = await manager.get_latest_checkpoint("sess_abc123")
        """
        return await self._get_checkpoint(session_id, "")

    async def list_checkpoints(self, session_id: str) -> list[dict[str, Any]]:
        """All checkpoints of a session, oldest first.

        Example:
            >>> for checkpoint in await manager.list_checkpoints("sess_abc123"):
            ...     print(checkpoint["checkpoint_id"], checkpoint["created_at"])
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        found: list[dict[str, Any]] = []
        after_us = 0
        while page := await scripts.list_checkpoints(
            self._store, keys, session_id, after_us=after_us, limit=_PAGE, max_bytes=_PAGE_BYTES
        ):
            found += [to_checkpoint(session_id, stored) for stored in page]
            after_us = page[-1].created_us
        return found

    async def delete_checkpoint(self, session_id: str, checkpoint_id: str) -> bool:
        """Deletes one checkpoint; False where there is none.

        Example:
            >>> await manager.delete_checkpoint("sess_abc123", "ckpt_xyz789")
            True
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        self._check_id("checkpoint_id", checkpoint_id)
        return await scripts.delete_checkpoint(self._store, keys, session_id, checkpoint_id)

    async def clear_checkpoints(self, session_id: str) -> int:
        """Deletes all checkpoints of a session; how many there were.

        Example:
            >>> await manager.clear_checkpoints("sess_abc123")
            3
        """
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        return await scripts.clear_checkpoints(self._store, keys, session_id)

    async def _get_checkpoint(self, session_id: str, checkpoint_id: str) -> dict[str, Any] | None:
        keys = self._partitions.of_session(self._check_id("session_id", session_id))
        stored = await scripts.get_checkpoint(self._store, keys, session_id, checkpoint_id)
        return None if stored is None else to_checkpoint(session_id, stored)
